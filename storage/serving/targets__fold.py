"""What an export does with a place, whatever its kind: ask what it serves, and put another release in its stead."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.serving.entries import Entry, ReleaseToServe
    from nightrank.storage.serving.reader import Served


class Target(Protocol):
    """A place that serves one release at a time."""

    def served(self) -> Served | None:
        """What it serves, if that is whole; None where it must be written anew.

        Raises:
            InputError: What is there is not ours, or we may not read it.
            TargetUnreachable: It does not answer.
        """

    def replace(self, release: ReleaseToServe, *, on_entries: Callable[[int], None]) -> tuple[str, ...]:
        """Serve another release from one moment to the next; what fails before that moment changes nothing.

        Args:
            release: To be served.
            on_entries: Told how many more entries are written.

        Returns:
            What the user should know about the place.
        """


def counted(entries: Iterator[Entry], on_entries: Callable[[int], None], *, every: int = 500) -> Iterator[Entry]:
    """The same entries; how many have passed is told now and then."""
    passed = 0
    for entry in entries:
        yield entry
        passed += 1
        if passed == every:
            on_entries(passed)
            passed = 0
    on_entries(passed)


@contextmanager
def needs(library: str, *, extra: str, target: str) -> Iterator[None]:
    """Turn the lack of a client library into words.

    Raises:
        InputError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{target} needs the package {library}, which is not installed."
        raise InputError(message, remedy=f"Install it: pip install 'nightrank[{extra}]'.") from error
