"""Tells people that the changes of a kind are not seen any more, and when they are seen again.

An informer mends itself and keeps what it knows, so without a word about it an operator whose right to watch a kind
was taken away would look idle. A watch that is cut, expires or meets a server that restarts is daily life and said to
nobody: only what lasts is, and a refusal at once, since it does not go away by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from troth.kube.errors import CredentialsError, Forbidden, KubeError, Unauthorized

logger = logging.getLogger(__name__)

PATIENCE = 10.0
REMINDER = 600.0
_REFUSALS = (Forbidden, Unauthorized, CredentialsError)


class Outage:
    """Whether one kind's changes are seen."""

    def __init__(self, kind: str, clock: Callable[[], float]) -> None:
        """``kind`` as people know it, such as ``works.platform.kratix.io``; ``clock`` counts seconds."""
        self._kind = kind
        self._clock = clock
        self._since: float | None = None
        self._said_at: float | None = None

    @property
    def seconds(self) -> float:
        """For how long changes have not been seen; 0 when they are."""
        return 0.0 if self._since is None else self._clock() - self._since

    def failed(self, error: KubeError) -> None:
        """A list or a watch failed."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if self._said_at is None:
            due = isinstance(error, _REFUSALS) or now - self._since >= PATIENCE
        else:
            due = now - self._said_at >= REMINDER
        if due:
            lasting = f"for {now - self._since:.0f} s now " if now - self._since >= 1 else ""
            logger.warning("%s: changes are not seen %s(%s); trying again", self._kind, lasting, error)
            self._said_at = now

    def over(self) -> None:
        """A watch works."""
        if self._said_at is not None:
            logger.info("%s: changes are seen again, after %.0f s", self._kind, self.seconds)
        self._since = self._said_at = None
