"""What is remembered of templates that did not end in time, and who is held back for it.

An answer belongs to the inputs that gave it. So what is remembered is never an outcome, but only that a pipeline did
not end, and for whom. Three memories, each with its own reach:

* A *job* (these templates with this input) that did not end fails at once for a while, with its own failure.
* A *party* (these templates, the requests of one namespace) of which two jobs did not end, and none succeeded since,
  is held back as a whole: fifty requests of a broken Promise need not take turns at hanging.
* A *program* (these templates) that never succeeded for anybody and held back the parties of three namespaces is
  held back for everybody. One namespace alone can therefore never stop those of others.

What is held back for others' jobs says so in words of its own: nothing that others wrote is in it.

Whether templates are slow is remembered for each party too, so that somebody's slow input moves nobody else's
requests into the slow lane. All memories are bounded; the oldest entry goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from troth.engine.failure import Failure

_MOST_REMEMBERED: Final = 4096
_JOBS: Final = 2
_NAMESPACES: Final = 3
_UNENDED: Final = ("TemplateTimeout", "RenderCrashed")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a job is, for all that is remembered of it.

    Attributes:
        key: hash of everything that its outcome depends on.
        program: hash of its templates.
        namespace: that of the request; "" for a Promise's own workflow.
    """

    key: bytes
    program: bytes
    namespace: str

    @property
    def party(self) -> tuple[str, bytes]:
        """The requests of one namespace that these templates render."""
        return (self.namespace, self.program)


@dataclass(frozen=True, slots=True)
class Held:
    """A job that is not tried now: which of its pipelines would not end, and the failure to report for that one."""

    index: int
    failure: Failure


@dataclass(slots=True)
class _Strikes:
    """Of a party: which jobs did not end since its last success, which pipeline that was, and until when it holds."""

    jobs: set[bytes] = field(default_factory=set)
    index: int = 0
    until: float = 0.0


def is_unended(outcome: object) -> bool:
    """Whether an outcome says that the templates did not end, or that their process did."""
    return isinstance(outcome, Failure) and outcome.reason in _UNENDED


class Quarantine:
    """Remembers what did not end.

    Args:
        seconds: for how long it is not tried again.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._jobs: OrderedDict[bytes, tuple[float, Held]] = OrderedDict()
        self._strikes: OrderedDict[tuple[str, bytes], _Strikes] = OrderedDict()
        self._struck: OrderedDict[bytes, set[str]] = OrderedDict()
        self._quick: OrderedDict[tuple[str, bytes], bool] = OrderedDict()
        self._slow: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    def recall(self, job: Identity, names: tuple[str, ...], now: float) -> Held | None:
        """Whether a job is held back, and why.

        Args:
            job: the job.
            names: of its pipelines.
            now: seconds of a clock that never goes back.
        """
        own = self._jobs.get(job.key)
        if own is not None:
            if own[0] > now:
                return own[1]
            del self._jobs[job.key]
        strikes = self._strikes.get(job.party)
        if strikes is not None and len(strikes.jobs) >= _JOBS:
            if strikes.until > now:
                return self._held(strikes.index, names, "other requests in this namespace")
            self._forgive(job.party)
        others = [self._strikes[party] for party in self._parties(job.program)]
        holding = [each.index for each in others if each.until > now]
        if len(holding) >= _NAMESPACES:
            return self._held(min(holding), names, "requests in several namespaces")
        return None

    def is_slow(self, job: Identity) -> bool:
        """Whether a job belongs into the slow lane: its party's templates did not end in the short time lately."""
        return job.party in self._slow or self._quick.get(job.party) is False

    def succeeded(self, job: Identity, *, quick: bool) -> None:
        """Notes that a job ended by itself; ``quick``: in the short time."""
        _remember(self._quick, job.party, quick)
        _remember(self._proven, job.program, None)
        self._slow.pop(job.party, None)
        self._forgive(job.party)

    def took_long(self, job: Identity) -> None:
        """Notes that a job did not end in the short time."""
        if job.party not in self._quick:
            _remember(self._slow, job.party, None)

    def misbehaved(self, job: Identity, index: int, failure: Failure, now: float) -> None:
        """Notes that a pipeline of a job did not end in all the time that there is."""
        until = now + self._seconds
        _remember(self._jobs, job.key, (until, Held(index, failure)))
        if job.party in self._quick:
            return  # it worked here once: the input is to blame, and only it is held back
        strikes = self._strikes.setdefault(job.party, _Strikes())
        strikes.jobs.add(job.key)
        strikes.index, strikes.until = index, until
        _remember(self._strikes, job.party, strikes)
        if len(strikes.jobs) >= _JOBS:
            struck = self._struck.setdefault(job.program, set())
            struck.add(job.namespace)
            _remember(self._struck, job.program, struck)

    def _parties(self, program: bytes) -> list[tuple[str, bytes]]:
        if program in self._proven:
            return []
        found = ((namespace, program) for namespace in self._struck.get(program, ()))
        return [party for party in found if party in self._strikes]

    def _forgive(self, party: tuple[str, bytes]) -> None:
        self._strikes.pop(party, None)
        struck = self._struck.get(party[1])
        if struck is not None:
            struck.discard(party[0])

    def _held(self, index: int, names: tuple[str, ...], whose: str) -> Held:
        index = min(index, len(names) - 1)
        message = f"the templates did not finish in time for {whose}, so this one is held back for a while"
        failure = Failure(
            "TemplateTimeout",
            message,
            hint=f"nothing has to be done here: it is tried again within {self._seconds:g} seconds",
        )
        return Held(index, failure.within(names[index]))


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)
