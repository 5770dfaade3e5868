"""A release as the server holds it: its answers, its collection in memory, its models."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from typing_extensions import override

from nightrank.flows.settings_file import as_made
from nightrank.storage.closing import Closing
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.foreign import placed
from nightrank.storage.retracted.listed import read_retracted
from nightrank.tasks.near.cache import SearchCache
from nightrank.tasks.near.pool_search import PoolSearch
from nightrank.tasks.online.facets import facets_of
from nightrank.tasks.online.models import models_of
from nightrank.tasks.online.release import OnlineRelease, held_collection
from nightrank.tasks.online.search import require_own_leg
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.takedown.chunks import still_there

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.online.facets import Facet
    from nightrank.tasks.online.held import HeldStage
    from nightrank.tasks.online.models import OnlineModels
    from nightrank.tasks.settings.whole import Settings

    # The collection, the models, what answers with both, and why there are none.
    _Held = tuple[HeldStage | None, OnlineModels | None, OnlineRelease | None, PoolSearch | None, str]

LOG = logging.getLogger("nightrank.serve")


@dataclass(frozen=True, slots=True, eq=False)
class ServedRelease(Closing):
    """A release that is served; made by ``load``. Threads may share one.

    Attributes:
        manifest: Its own.
        settings: That it was made with.
        cache: Its answers, without what was taken down.
        collection: In memory; None where no query is answered now.
        retracted: Ids of documents that were taken down.
        allowed: bool (n_chunks,), the chunks of the others; None for all.
        facets: Fields by which a search may be narrowed.
        models: That it was made with.
        online: What answers now; None where nothing does.
        pools: What was found for known queries, for others near to them; None where that is off.
        why_not_live: Why not; empty where there is no reason to tell.
        has_near: Whether it has near answers that can be read here.
    """

    manifest: Manifest
    settings: Settings
    cache: SearchCache
    collection: HeldStage | None
    retracted: Collection[str]
    allowed: NDArray[np.bool_] | None
    facets: Sequence[Facet]
    models: OnlineModels | None
    online: OnlineRelease | None
    pools: PoolSearch | None = None
    why_not_live: str = ""
    has_near: bool = False

    @classmethod
    def load(cls, configuration: Configuration, *, before: ServedRelease | None = None) -> Self:
        """The release that is current, with all that answering from it needs.

        Args:
            configuration: Of the server.
            before: What is served; what has not changed is taken from it.

        Raises:
            InputError: Nothing has been published.
            MachineError: The release cannot be read.
        """
        workspace = configuration.workspace
        cache = SearchCache.of(workspace)
        try:
            stored = StoredRelease.open(workspace, cache.release_id)
            retracted = read_retracted(workspace).documents.keys()
            has_near = stored.settings.near.is_on and _reads_near(cache)
            if not configuration.settings.serve.live:
                nothing = None, retracted, None, (), None, None, None, ""
                return cls(stored.manifest, stored.settings, cache, *nothing, has_near)
            if before is not None and before.release_id == cache.release_id and before.online is not None:
                held: _Held = before.collection, before.models, before.online, before.pools, ""
            else:
                held = _online(stored, configuration, loaded=None if before is None else before.models)
            collection, models, online, pools, why = held
            allowed = None if collection is None else still_there(collection.statistics, None, retracted)
            facets = () if collection is None else facets_of(collection, allowed)
            parts = collection, retracted, allowed, facets, models, online, pools, why
            return cls(stored.manifest, stored.settings, cache, *parts, has_near)
        except BaseException:
            cache.close()
            raise

    @property
    def release_id(self) -> str:
        """Its id."""
        return self.manifest.release_id

    @property
    def depth(self) -> int:
        """Results of a query at most."""
        return self.settings.results.depth

    @property
    def size_bytes(self) -> int:
        """What its collection takes in memory, what is mapped counted in."""
        return 0 if self.collection is None else self.collection.size_bytes

    def visible(self, condition: str | None) -> NDArray[np.bool_] | None:
        """The chunks that a query may find, bool (n_chunks,); None for all.

        Args:
            condition: The canonical text of its filter.

        Raises:
            InputError: The filter cannot be applied to the collection.
        """
        assert self.collection is not None
        chosen = self.collection.allowed(condition)
        if chosen is None or self.allowed is None:
            return self.allowed if chosen is None else chosen
        return chosen & self.allowed

    @override
    def close(self) -> None:
        """Let go of its answers; what is in memory goes when nothing refers to it."""
        self.cache.close()


def _reads_near(cache: SearchCache) -> bool:
    """Whether near answers are read as they were made: without them all else is answered as ever."""
    try:
        cache.read_near()
    except MachineError as error:
        LOG.warning("No known query's answer is given to a like one: %s", error)
        return False
    return True


def _online(stored: StoredRelease, configuration: Configuration, *, loaded: OnlineModels | None) -> _Held:
    """The collection, the models, what answers with both, and why there are none.

    Raises:
        MachineError: A store of the release cannot be read, or there is no room for its copy.
    """
    settings, base = as_made(stored.settings, configuration), configuration.base
    models, why = None, ""
    try:
        require_own_leg(settings)
        models = models_of(settings, stored.manifest.inputs, base=base, loaded=loaded)
    except InputError as error:
        why = str(error)
    with placed("The folder of temporary files"):
        collection = held_collection(stored, settings, base=base, with_sparse=models is not None)
    if models is None:
        return collection, None, None, None, why
    online = OnlineRelease.of(stored, collection, models, settings=settings)
    return collection, models, online, PoolSearch.of(stored, online.live, collection.vectors.texts), why
