"""When a refresh begins after changes: when it has been quiet, and not too late where it never is."""

from __future__ import annotations

from dataclasses import dataclass, replace

LONGEST_RETRY = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Waiting:
    """Changes that no refresh has taken in yet, by their times; all times and spans are seconds.

    Attributes:
        quiet: How long nothing may change before a refresh begins.
        longest: How long the first change waits at most, however often others follow.
        first: When the first of them came; None without any.
        last: When the last of them came.
        failures: Attempts, one after the other, that took nothing in.
        not_before: When the next one may begin.

    >>> waiting = Waiting(quiet=60.0, longest=300.0)
    >>> waiting.due is None, waiting.changed(0.0).due, waiting.changed(0.0).changed(50.0).due
    (True, 60.0, 110.0)
    >>> busy = waiting.changed(0.0).changed(290.0)  # it never is quiet
    >>> busy.due, busy.failed(300.0).due
    (300.0, 360.0)
    """

    quiet: float
    longest: float
    first: float | None = None
    last: float | None = None
    failures: int = 0
    not_before: float = float("-inf")

    def changed(self, at: float) -> Waiting:
        """With one more change, not before the others."""
        return replace(self, first=at if self.first is None else self.first, last=at)

    @property
    def due(self) -> float | None:
        """When a refresh begins, if nothing changes until then; None without a change."""
        if self.first is None or self.last is None:
            return None
        return max(self.not_before, min(self.last + self.quiet, self.first + self.longest))

    def taken(self) -> Waiting:
        """Without the changes: they are being taken in, or came to nothing."""
        return replace(self, first=None, last=None)

    def succeeded(self) -> Waiting:
        """After an attempt that took in what there was."""
        return replace(self, failures=0, not_before=float("-inf"))

    def failed(self, at: float) -> Waiting:
        """After an attempt that took nothing in: again after ``quiet``, then twice as long each time, up to an hour.

        Args:
            at: When it ended; what it was to take in waits from then on.
        """
        seconds = min(self.quiet * 2.0 ** min(self.failures, 30), max(LONGEST_RETRY, self.quiet))
        waiting = self.changed(at if self.last is None else max(at, self.last))
        return replace(waiting, failures=self.failures + 1, not_before=at + seconds)
