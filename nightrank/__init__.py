"""What a program imports: the readers of published releases.

>>> from nightrank import SearchCache

The rest of the package, under ``nightrank.flows``, ``nightrank.tasks`` and ``nightrank.storage``, is for those who
change Nightrank or write parts of their own. Nothing heavy is loaded before a name below is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightrank.storage.serving.open import open_results
    from nightrank.tasks.near.cache import FollowingCache, SearchCache

__all__ = ["FollowingCache", "SearchCache", "open_results"]

_PLACES = {
    "SearchCache": "nightrank.tasks.near.cache",
    "FollowingCache": "nightrank.tasks.near.cache",
    "open_results": "nightrank.storage.serving.open",
}


def __getattr__(name: str) -> object:
    """A reader, imported when it is first asked for."""
    if name not in _PLACES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_PLACES[name]), name)
