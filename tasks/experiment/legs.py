"""The legs of some queries over a stored release, each made once, as deep as any variant of the settings wants it.

A leg that is cut is the leg of a lesser depth, because the order of a ranking is one. The legs over vectors are read
from the release's own lists as far as they reach; beyond, the queries meet the whole collection once more. A leg for
which a run from outside stands in is what the release's candidates hold of it, however deep one asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.records import LEG
from nightrank.storage.release.leg_lists import read_leg_lists
from nightrank.tasks.filters.queries import QueryFilters
from nightrank.tasks.kernels.top_documents import within_depth
from nightrank.tasks.legs.carried import leg_from_lists
from nightrank.tasks.trec.leg import runs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from nightrank.tasks.first_stage import FirstStage
    from nightrank.tasks.release import StoredRelease
    from nightrank.tasks.settings.index import Bm25Settings
    from nightrank.tasks.settings.whole import Settings


class Scan(Protocol):
    """A scan of a collection: ``tasks.experiment.scans`` has it."""

    def __call__(
        self,
        leg: LegName,
        numbers: NDArray[np.int64],
        allowed: NDArray[np.bool_] | None,
        *,
        settings: Settings,
        depth: int,
    ) -> pa.Table:
        """What some queries find, schema LEG."""
        ...


class Legs:
    """The legs of some queries over a release.

    Args:
        release: Whose.
        first_stage: Over its stores.
        queries: Schema QUERIES.
        bm25_stage: Gives the first stage whose statistics have the weights of fields that some settings have.
        scanned: Called where lists do not reach.
    """

    def __init__(
        self,
        release: StoredRelease,
        first_stage: FirstStage,
        queries: pa.Table,
        *,
        bm25_stage: Callable[[Bm25Settings], FirstStage],
        scanned: Scan,
    ) -> None:
        self._release = release
        self._first_stage = first_stage
        self._queries = queries
        self._filters = QueryFilters.of_release(queries, first_stage.store)
        self._bm25_stage = bm25_stage
        self._scanned = scanned
        self._outside = runs_of(release.settings.retrieval)
        self._expected: dict[object, int] = {}  # how deep each leg will be asked for
        self._legs: dict[object, tuple[int, pa.Table]] = {}  # how deep each leg is

    def expect(self, variants: Iterable[Settings]) -> None:
        """Say what will be asked for, so that each leg is made once and deep enough for all."""
        for settings in variants:
            for leg in settings.retrieval.legs:
                key = self._key(leg, settings)
                self._expected[key] = max(self._expected.get(key, 0), settings.retrieval.candidate_depth)

    def of(self, settings: Settings) -> dict[LegName, pa.Table]:
        """The legs of a variant, those that are on, schema LEG."""
        return {
            leg: self._cut(self._key(leg, settings), self._maker(leg, settings), settings)
            for leg in settings.retrieval.legs
        }

    def _key(self, leg: LegName, settings: Settings) -> object:
        """What a leg depends on beside its depth, over the chunks that are there."""
        if leg in self._outside:
            return leg
        documents, bm25 = self._first_stage.documents(settings), settings.bm25
        counted = None if documents is None else documents.chunks
        if leg == "bm25":
            return leg, counted, bm25.variant, bm25.k1, bm25.b, bm25.fields.weights
        return leg, counted

    def _maker(self, leg: LegName, settings: Settings) -> Callable[[int], pa.Table]:
        """What makes a leg, given how deep."""
        if leg in self._outside:
            return lambda _: self._stored(leg)
        return self._bm25(settings) if leg == "bm25" else self._over_vectors(leg, settings)

    def _bm25(self, settings: Settings) -> Callable[[int], pa.Table]:
        def make(deepest: int) -> pa.Table:
            texts, stage = self._queries.column("text").to_pylist(), self._bm25_stage(settings.bm25)

            def leg(numbers: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> pa.Table:
                asked = [texts[number] for number in numbers.tolist()]
                return stage.bm25(asked, allowed, settings=settings, depth=deepest)

            return self._filters.leg(leg)

        return make

    def _cut(self, key: object, make: Callable[[int], pa.Table], settings: Settings) -> pa.Table:
        depth, documents = settings.retrieval.candidate_depth, self._first_stage.documents(settings)
        made, leg = self._legs.get(key, (0, None))
        if leg is None or made < depth:
            made = max(depth, self._expected.get(key, 0))
            leg = make(made)
            self._legs[key] = made, leg
        if documents is None:
            return leg.filter(pc.field("rank") <= depth)
        queries, chunks = (leg.column(name).to_numpy() for name in ("query_number", "chunk_number"))
        return leg.filter(pa.array(within_depth(queries, chunks, documents, depth=depth)))

    def _stored(self, leg: str) -> pa.Table:
        """What the release's candidates hold of a leg, schema LEG."""
        candidates = self._release.candidates(self._queries).filter(pc.is_valid(pc.field(f"{leg}_rank")))
        keys = self._queries.column("query_key").combine_chunks()
        columns = {
            "query_number": pc.index_in(candidates.column("query_key"), value_set=keys),
            "chunk_number": candidates.column("chunk_number"),
            "score": candidates.column(f"{leg}_score"),
            "rank": candidates.column(f"{leg}_rank"),
        }
        order = [("query_number", "ascending"), ("rank", "ascending")]
        return pa.table(columns).sort_by(order).cast(LEG)

    def _over_vectors(self, leg: LegName, settings: Settings) -> Callable[[int], pa.Table]:
        keys, files = self._queries.column("query_key").combine_chunks(), self._release.files
        lists = files.dense_lists if leg == "dense" else files.sparse_lists
        documents = self._first_stage.documents(settings)

        def make(depth: int) -> pa.Table:
            def of_filter(numbers: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> pa.Table:
                asked, texts = keys.take(pa.array(numbers)), self._first_stage.texts
                texts = texts if allowed is None else texts.only(allowed)[0]
                stored = read_leg_lists(lists.path)
                found, answered = leg_from_lists(stored, asked, texts, depth=depth, documents=documents)
                if answered.all():
                    return found
                return self._scanned(leg, numbers, allowed, settings=settings, depth=depth)

            return self._filters.leg(of_filter)

        return make
