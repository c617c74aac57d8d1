"""Reports that changes are not seen any more, and when they are seen again, with one line for each cause.

An informer recovers by itself and keeps what it knows. So without a report, an operator whose right to watch a kind was
taken away would look idle. It is normal that a watch is cut, expires or meets a server that restarts, and this is not
reported. What lasts is reported, and a refusal at once, since it does not go away by itself. A server that does not
answer does so for all kinds, and definitions tend to be missing together: `Outages` reports each of these once for all
kinds.

An indispensable kind may only be refused for a limited time. Then its informer gives up with a `LastingRefusal`, as
controller-runtime's managers do when a cache does not fill (Manager.Start, CacheSyncTimeout).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from troth.kube.errors import (
    ConnectionFailed,
    CredentialsError,
    DeadlineExceeded,
    Forbidden,
    KubeError,
    LastingRefusal,
    NotFound,
    Unauthorized,
)

logger = logging.getLogger(__name__)

PATIENCE = 10.0
REMINDER = 600.0
_REFUSALS = (Forbidden, Unauthorized, CredentialsError)
_NO_ANSWER = (ConnectionFailed, DeadlineExceeded)
_OURS = (".kratix.io", ".troth.dev")
_GRANT = "grant the operator's account the rights to get, list and watch it (the chart does with rbac.create)"
_INSTALL = "install the CRDs: kubectl apply --server-side -f crds/, or helm with Troth's chart"


class Outages:
    """The outages of the kinds of one API server, so that a cause which they share is reported once."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._out: dict[str, set[str]] = {}

    def begin(self, cause: str, kind: str, now: float) -> bool:
        """Notes that a kind is out, for a cause that others may share. Returns whether to report it now."""
        self._out.setdefault(cause, set()).add(kind)
        said = self._said.get(cause)
        if said is not None and now - said < REMINDER:
            return False
        self._said[cause] = now
        return True

    def end(self, cause: str, kind: str) -> bool:
        """Notes that a kind is back. Returns whether it was the last one of an outage that was reported."""
        out = self._out.get(cause, set())
        out.discard(kind)
        return not out and self._said.pop(cause, None) is not None


class Outage:
    """Whether one kind's changes are seen."""

    def __init__(self, kind: str, clock: Callable[[], float], outages: Outages | None = None) -> None:
        """``kind`` is the name to report, such as ``works.platform.kratix.io``; ``clock`` counts seconds."""
        self._kind = kind
        self._clock = clock
        self._outages = outages or Outages()
        self._since: float | None = None
        self._refused_since: float | None = None
        self._said_at: float | None = None
        self._cause = ""

    @property
    def seconds(self) -> float:
        """For how many seconds changes have not been seen; 0 when they are."""
        return 0.0 if self._since is None else self._clock() - self._since

    @property
    def refused_seconds(self) -> float:
        """For how many seconds every answer has been that the kind is forbidden or unknown; 0 after another answer."""
        return 0.0 if self._refused_since is None else self._clock() - self._refused_since

    def failed(self, error: KubeError) -> None:
        """Notes that a list or a watch failed."""
        now = self._clock()
        if not isinstance(error, Forbidden | NotFound):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        if self._since is None:
            self._since = now
        missing = isinstance(error, NotFound) and self._kind.endswith(_OURS)
        if self._said_at is None:
            due = missing or isinstance(error, _REFUSALS) or now - self._since >= PATIENCE
        else:
            due = now - self._said_at >= REMINDER
        if not due:
            return
        lasting = f"for {now - self._since:.0f} s now " if now - self._since >= 1 else ""
        self._said_at = now
        cause = "missing" if missing else "silent" if isinstance(error, _NO_ANSWER) else self._kind
        if self._cause != cause:
            self._outages.end(self._cause, self._kind)
            self._cause = cause
        if not self._outages.begin(self._cause, self._kind, now):
            return
        if missing:
            logger.warning("%s: the API server does not know this kind; %s", self._kind, _INSTALL)
        elif self._cause == "silent":
            logger.warning("the API server: changes are not seen %s(%s); trying again", lasting, error)
        else:
            logger.warning("%s: changes are not seen %s(%s); trying again", self._kind, lasting, error)

    def over(self) -> None:
        """Notes that a watch works again."""
        if self._said_at is not None and self._outages.end(self._cause, self._kind):
            what = "the API server" if self._cause == "silent" else self._kind
            logger.info("%s: changes are seen again, after %.0f s", what, self.seconds)
        self._since = self._said_at = self._refused_since = None

    def lasting_refusal(self, error: Forbidden | NotFound) -> LastingRefusal:
        """Returns the error for a refusal that lasted too long: what is refused, for how long, and what to do."""
        lasting = f"for {self.refused_seconds:.0f} s"
        if isinstance(error, NotFound):
            return LastingRefusal(f"{self._kind}: the API server has not known this kind {lasting}; {_INSTALL}")
        return LastingRefusal(
            f"{self._kind}: the API server has not let this kind be followed {lasting} ({error}); {_GRANT}"
        )
