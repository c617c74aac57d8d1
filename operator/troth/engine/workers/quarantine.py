"""Remembers templates that did not end in time, and decides which jobs are held back because of them.

An answer is only valid for its inputs. So an outcome is never remembered, but only that a pipeline did not end, and for
which job. There are three memories with different scopes:

* A *job* (these templates with this input) that did not end fails at once for a while, with its former failure.
* A *party* (these templates for the requests of one namespace) of which two jobs did not end, and none has succeeded
  since, is held back as a whole, so that fifty requests of a broken Promise do not hang one after another.
* A *program* (these templates) that never succeeded for anybody, and whose parties in three namespaces are held back,
  is held back for everybody. A single namespace can therefore never stop others.

Each waiting time is twice as long as the last, and long enough that all retries of a namespace, or of a Promise, take
an eighth of a worker together (`_SPARING`): two hundred requests that time out are tried again every half an hour. A
request that somebody has edited is tried at once, even if its namespace is held back.

A job that is held back because of others says so in a fixed sentence, which contains nothing that others wrote.

Whether templates are slow is also remembered for each party, so that somebody's slow input does not move the requests
of others into the slow lane. The time that the quick lane has lost with a party, a namespace or a program is counted:
after too much of it, jobs go to the slow lane at once, until the loss is gradually forgotten. All memories are bounded,
and drop their oldest entries first.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any, Final

from troth.engine.failure import Failure

_MOST_REMEMBERED: Final = 4096
_JOBS: Final = 2
_NAMESPACES: Final = 3
_MOST_STRIKES: Final = 64
_MOST_DOUBLINGS: Final = 5
_SPARING: Final = 8
_LOSS_FORGOTTEN: Final = 0.05  # seconds of loss that are forgotten each second
_LOSS_OF_A_PARTY: Final = 2.0
_LOSS_OF_MANY: Final = 4.0  # seconds, for a namespace or a program
_UNENDED: Final = ("TemplateTimeout", "RenderCrashed")


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a job, by which it is remembered.

    Attributes:
        key: a hash of everything that its outcome depends on.
        program: a hash of its templates.
        namespace: the request's namespace; "" for a Promise's own workflow, and a special word for checks of Promises.
        subject: a hash of the request without its inputs; b"" when that is not known.
    """

    key: bytes
    program: bytes
    namespace: str
    subject: bytes = b""

    @property
    def party(self) -> tuple[str, bytes]:
        """The key of the party: these templates for the requests of one namespace."""
        return (self.namespace, self.program)


@dataclass(frozen=True, slots=True)
class Held:
    """A job that is held back: the index of the pipeline that would not end, and the failure to report for it."""

    index: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class _Hung:
    """A job that did not end: how often, until when it is not tried again, and what is reported until then."""

    job: Identity
    times: int
    until: float
    held: Held


@dataclass(slots=True)
class _Strikes:
    """The jobs of a party that did not end since its last success.

    ``index`` is the pipeline that did not end, ``until`` the time until which the party is held back, and ``rounds``
    counts how often it was held back since then.
    """

    jobs: set[bytes] = field(default_factory=set)
    index: int = 0
    until: float = 0.0
    rounds: int = 0


def is_unended(outcome: object) -> bool:
    """Whether an outcome means that the templates did not end, or that their process crashed."""
    return isinstance(outcome, Failure) and outcome.reason in _UNENDED


class Quarantine:
    """Remembers jobs that did not end.

    Args:
        seconds: for how long a job is not tried again after the first time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._jobs: OrderedDict[bytes, _Hung] = OrderedDict()
        self._hung: Counter[str | bytes] = Counter()  # number of remembered jobs, by namespace and by program
        self._asked: OrderedDict[bytes, bytes] = OrderedDict()
        self._lost: OrderedDict[object, tuple[float, float]] = OrderedDict()
        self._strikes: OrderedDict[tuple[str, bytes], _Strikes] = OrderedDict()
        self._struck: OrderedDict[bytes, set[str]] = OrderedDict()
        self._quick: OrderedDict[tuple[str, bytes], bool] = OrderedDict()
        self._slow: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    def asks(self, job: Identity) -> bool:
        """Notes a job. Returns whether the same subject asked with other inputs before."""
        if not job.subject:
            return False
        before = self._asked.get(job.subject)
        _remember(self._asked, job.subject, job.key)
        return before is not None and before != job.key

    def recall(self, job: Identity, names: tuple[str, ...], now: float, *, edited: bool = False) -> Held | None:
        """Returns why a job is held back, or None.

        Args:
            job: the job.
            names: the names of its pipelines.
            now: seconds of a clock that never goes back.
            edited: whether its inputs are new, so that it is only held back because of itself, and not because of
                others.
        """
        own = self._jobs.get(job.key)
        if own is not None and own.until > now:
            failure = replace(own.held.failure, again=own.until - now)
            return Held(own.held.index, failure)
        if edited:
            return None
        strikes = self._strikes.get(job.party)
        if strikes is not None and len(strikes.jobs) >= _JOBS:
            if strikes.until > now:
                return self._held(strikes.index, names, "other requests in this namespace", strikes.until - now)
            strikes.jobs.clear()
            self._unstrike(job.party)
        others = [self._strikes[party] for party in self._parties(job.program)]
        holding = [each for each in others if each.until > now]
        if len(holding) >= _NAMESPACES:
            again = min(each.until for each in holding) - now
            index = min(each.index for each in holding)
            return self._held(index, names, "requests in several namespaces", again)
        return None

    def is_slow(self, job: Identity, now: float) -> bool:
        """Whether a job belongs in the slow lane.

        This is so if its party's templates did not end in the short time lately, or if the quick lane has lost too much
        time with similar jobs. A party that loses no time, and was quick before, is not affected by others in its
        namespace or elsewhere.
        """
        if job.party in self._slow or self._quick.get(job.party) is False:
            return True
        own = self._loss(job.party, now)
        if own > _LOSS_OF_A_PARTY:
            return True
        if job.party in self._quick and not own:
            return False
        return max(self._loss(job.namespace, now), self._loss(job.program, now)) > _LOSS_OF_MANY

    def succeeded(self, job: Identity, *, quick: bool) -> None:
        """Notes that a job ended by itself; ``quick`` says whether it did so in the short time."""
        _remember(self._quick, job.party, quick)
        _remember(self._proven, job.program, None)
        self._slow.pop(job.party, None)
        self._strikes.pop(job.party, None)
        self._unstrike(job.party)
        hung = self._jobs.pop(job.key, None)
        if hung is not None:
            self._count(hung.job, -1)

    def took_long(self, job: Identity, seconds: float, now: float) -> None:
        """Notes that a job did not end in the short time, which cost the quick lane ``seconds``."""
        if job.party not in self._quick:
            _remember(self._slow, job.party, None)
        for loser in (job.party, job.namespace, job.program):
            _remember(self._lost, loser, (self._loss(loser, now) + seconds, now))

    def misbehaved(
        self, job: Identity, index: int, failure: Failure, now: float, *, seconds: float = 0.0
    ) -> Failure:
        """Notes that a pipeline of a job did not end within the limits. Returns the failure to report.

        Args:
            job: the job.
            index: the index of the pipeline.
            failure: the failure of the pipeline.
            now: seconds of a clock that never goes back.
            seconds: how long it ran.
        """
        before = self._jobs.pop(job.key, None)
        if before is None:
            self._count(job, 1)
        times = before.times + 1 if before else 1
        pause = self._seconds * 2 ** min(times - 1, _MOST_DOUBLINGS)
        if self._seconds:
            pause = max(pause, _SPARING * seconds * max(self._hung[job.namespace], self._hung[job.program]))
        failure = replace(failure, again=pause)
        self._jobs[job.key] = _Hung(job, times, now + pause, Held(index, failure))
        while len(self._jobs) > _MOST_REMEMBERED:
            _, oldest = self._jobs.popitem(last=False)
            self._count(oldest.job, -1)
        if job.party in self._quick:
            return failure  # it has succeeded here before, so only this input is held back
        strikes = self._strikes.setdefault(job.party, _Strikes())
        if len(strikes.jobs) < _MOST_STRIKES:
            strikes.jobs.add(job.key)
        strikes.index = index
        strikes.until = now + self._seconds * 2 ** min(strikes.rounds, _MOST_DOUBLINGS)
        _remember(self._strikes, job.party, strikes)
        if len(strikes.jobs) >= _JOBS:
            strikes.rounds += len(strikes.jobs) == _JOBS
            struck = self._struck.setdefault(job.program, set())
            struck.add(job.namespace)
            _remember(self._struck, job.program, struck)
        return failure

    def _count(self, job: Identity, change: int) -> None:
        for name in (job.namespace, job.program):
            self._hung[name] += change
            if not self._hung[name]:
                del self._hung[name]

    def _loss(self, loser: object, now: float) -> float:
        lost, at = self._lost.get(loser, (0.0, now))
        return max(0.0, lost - _LOSS_FORGOTTEN * (now - at))

    def _parties(self, program: bytes) -> list[tuple[str, bytes]]:
        if program in self._proven:
            return []
        found = ((namespace, program) for namespace in self._struck.get(program, ()))
        return [party for party in found if party in self._strikes]

    def _unstrike(self, party: tuple[str, bytes]) -> None:
        struck = self._struck.get(party[1])
        if struck is not None:
            struck.discard(party[0])

    def _held(self, index: int, names: tuple[str, ...], whose: str, again: float) -> Held:
        index = min(index, len(names) - 1)
        message = f"the templates did not finish in time for {whose}, so this one is held back for a while"
        failure = Failure(
            "TemplateTimeout",
            message,
            hint="nothing has to be done here: Troth tries again later, and at once when it is edited",
            again=again,
        )
        return Held(index, failure.within(names[index]))


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)
