"""Exporting a release: nothing where the place serves it already, whole or not at all where it does not."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.records import JsonValue
    from nightrank.storage.serving.entries import Entry, ReleaseToServe
    from nightrank.storage.serving.reader import Served


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did.

    Attributes:
        to: The address, without a password.
        changed: Whether anything was written; False where the place served the release already.
        before: The release that the place served before; None where that was nothing, or was not whole.
        warnings: What the user should know about the place.
    """

    release_id: str
    to: str
    changed: bool
    queries: int
    aliases: int
    before: str | None
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """As a JSON object."""
        return {
            "release_id": self.release_id,
            "to": self.to,
            "changed": self.changed,
            "queries": self.queries,
            "aliases": self.aliases,
            "before": self.before,
            "warnings": list(self.warnings),
        }


def export(release: ReleaseToServe, target: Target, *, to: str, on_entries: Callable[[int], None]) -> Exported:
    """Make a place serve a release.

    Args:
        release: To be served.
        target: The place.
        to: Its address, without a password.
        on_entries: Called with how many more entries are written.

    Raises:
        InputError: The place cannot be used, or holds what is not ours.
        MachineError: The release is damaged, or the place failed; it serves what it served before.
    """
    served = target.served()
    changed = served != release.served
    warnings: tuple[str, ...] = ()
    if changed:
        release.require_whole()
        warnings = target.replace(release, on_entries=on_entries)
    before = None if served is None else served.release_id
    queries, aliases = release.served.queries, release.served.aliases
    return Exported(release.release_id, to, changed, queries, aliases, before, warnings)


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
            on_entries: Called with how many more entries are written.

        Returns:
            What the user should know about the place.

        Raises:
            ChangedMeanwhile: Something was taken down since the release was opened; what is live stays live.
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
