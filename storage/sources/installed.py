"""Sources of others: entry points of the group ``nightrank.sources`` in packages that somebody installed."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.sources.gather import translating
from nightrank.storage.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "nightrank.sources"


def installed_source(name: str, place: str) -> Source:
    """The source of a connector that is installed.

    Args:
        name: Of its entry point.
        place: What it is given.

    Raises:
        InputError: There is none of that name, or it gives something else.
        MachineError: It cannot be loaded, or fails.
    """
    found = entry_points(group=GROUP)
    if name not in found.names:
        known = f"installed are {', '.join(sorted(found.names))}" if found.names else "none is installed"
        raise InputError(
            f"There is no connector {name!r} for [documents].source; {known}.",
            remedy=f"Install the package that has it as an entry point of {GROUP}, or correct the source.",
        )
    with translating(f"{name}:"):
        make: Callable[[str], object] = found[name].load()
        source = make(place)
    if not isinstance(source, Source):
        raise InputError(
            f"The connector {name!r} gives {type(source).__name__}, which is no Source of nightrank.",
            remedy="Have it return one; docs/how-to/sources.md shows how.",
        )
    return source
