"""A small collection, and what legs and reranker say of it: what the fit reads, in one file a collection."""

from __future__ import annotations

import json
import lzma
import random
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.files.atomic import replacing
from nightrank.storage.keys import fingerprint, normalise_query
from nightrank.storage.legs import LEGS, LegName
from nightrank.tasks.rank.fusion import reciprocal_rank, union_legs
from nightrank.tasks.rank.grams import GRAM_BITS, grams_in
from nightrank.tasks.rank.lists import ranks_by_score
from nightrank.tasks.train.sources import Passage, beir_passages, beir_queries
from recipes.learned_order.recipe import ASKED, PASSAGES, QUERIES, RERANKED, SEED
from recipes.legs import SETTINGS, find

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from recipes.learned_order.recipe import Collection
    from recipes.legs import Encoders

    Rerank = Callable[[Sequence[str], Sequence[str]], NDArray[np.float32]]

RRF_K = 60  # as in the settings


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a collection: queries drawn at random, their answers, and passages drawn at random.

    Attributes:
        queries: Normalised.
        passages: Each a document of its own, named by its place.
        answers: Places of the passages that answer each query.
    """

    queries: Sequence[str]
    passages: Sequence[Passage]
    answers: Sequence[frozenset[int]]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What is known of the entries that some leg lists for some query.

    Attributes:
        queries: int32 (n,), from 0, ascending.
        places: int32 (n,), of the passage.
        legs: float32 (n,) by leg, NaN where it does not list the entry.
        pair_scores: float32 (n,), NaN where the reranker was not asked.
        grams: large_binary (n,), of the query's, those in the passage.
        relevant: bool (n,).
        answer_counts: int32 (n_queries,), passages that answer a query.
    """

    queries: NDArray[np.int32]
    places: NDArray[np.int32]
    legs: Mapping[LegName, NDArray[np.float32]]
    pair_scores: NDArray[np.float32]
    grams: pa.Array
    relevant: NDArray[np.bool_]
    answer_counts: NDArray[np.int32]

    def write(self, path: Path) -> None:
        """As a file, which appears when it is whole."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                queries=self.queries,
                places=self.places,
                pair_scores=self.pair_scores,
                grams=np.frombuffer(b"".join(self.grams.to_pylist()), dtype=np.uint8),
                gram_bytes=pc.binary_length(self.grams).to_numpy(),
                relevant=self.relevant,
                answer_counts=self.answer_counts,
                allow_pickle=False,
                **{str(leg): scores for leg, scores in self.legs.items()},
            )

    @classmethod
    def read(cls, path: Path) -> Self:
        """From its file."""
        with np.load(path, allow_pickle=False) as stored:
            legs = {leg: stored[leg] for leg in LEGS}
            said, ends = stored["grams"].tobytes(), np.cumsum(stored["gram_bytes"]).tolist()
            grams = pa.array([said[start:end] for start, end in pairwise([0, *ends])], GRAM_BITS)
            rest = (stored["pair_scores"], grams, stored["relevant"], stored["answer_counts"])
            return cls(stored["queries"], stored["places"], legs, *rest)

    def cut(self, depth: int) -> Self:
        """The same with the first entries alone of each leg's lists.

        Args:
            depth: Entries of a query.
        """
        return replace(self, legs={leg: _cut(self.queries, scores, depth) for leg, scores in self.legs.items()})


def read_slice(collection: Collection, data: Path) -> Slice:
    """The part of a collection that is fitted on, always the same.

    Args:
        collection: Which.
        data: The folder of the data.
    """
    path = data / collection.path
    pairs = _of_folder(path) if path.is_dir() else _of_file(path, collection)
    passages: dict[str, Passage] = {}
    answers: dict[str, set[str]] = {}
    for query, passage in pairs:
        passages.setdefault(passage.said, passage)
        if query:
            answers.setdefault(query, set()).add(passage.said)
    generator = random.Random(int(fingerprint([SEED, collection.name])[:16], 16))
    asked = sorted(answers)
    generator.shuffle(asked)
    asked = asked[:QUERIES]
    wanted = dict.fromkeys(said for query in asked for said in sorted(answers[query]))
    others = [said for said in passages if said not in wanted]
    generator.shuffle(others)
    kept = [*wanted, *others[: max(0, PASSAGES - len(wanted))]]
    places = {said: place for place, said in enumerate(kept)}
    chosen = enumerate(passages[said] for said in kept)
    named = [Passage(str(place), one.title if collection.has_titles else "", one.text) for place, one in chosen]
    return Slice(asked, named, [frozenset(places[said] for said in answers[query]) for query in asked])


def listed(part: Slice, encoders: Encoders) -> Scored:
    """What the legs say of a slice; the reranker was not asked."""
    found = find(part.queries, part.passages, encoders, depth=SETTINGS.retrieval.candidate_depth)
    pool = union_legs(found.tables, documents=None)  # a passage is a document of one chunk
    places = found.places[pool.chunks]
    pairs = zip(pool.queries.tolist(), places.tolist(), strict=True)
    relevant = np.array([place in part.answers[query] for query, place in pairs])
    counts = np.array([len(each) for each in part.answers], dtype=np.int32)
    grams = grams_in(part.queries, [passage.model_text() for passage in part.passages], pool.queries, places)
    unasked = np.full(pool.queries.size, np.nan, dtype=np.float32)
    return Scored(pool.queries, places.astype(np.int32), dict(pool.scores), unasked, grams, relevant, counts)


def reranked(scored: Scored, part: Slice, rerank: Rerank) -> Scored:
    """The same with pair scores, of the candidates of the first queries that any fusion of legs ranks first.

    Args:
        scored: What the legs say of the slice.
        part: It.
        rerank: Queries and texts, pair by pair, to scores, float32 (n,).
    """
    ranks = {leg: ranks_of(scored.queries, scores) for leg, scores in scored.legs.items()}
    first = [fused_ranks(scored.queries, ranks, names) for names in (("bm25", "dense"), LEGS)]
    rows = np.flatnonzero((np.min(first, axis=0) <= RERANKED) & (scored.queries < ASKED))
    pair_scores = scored.pair_scores.copy()
    pair_scores[rows] = rerank(
        [part.queries[query] for query in scored.queries[rows].tolist()],
        [part.passages[place].model_text() for place in scored.places[rows].tolist()],
    )
    return replace(scored, pair_scores=pair_scores)


def fused_ranks(
    queries: NDArray[np.integer], ranks: Mapping[LegName, NDArray[np.integer]], legs: Sequence[LegName]
) -> NDArray[np.int64]:
    """The ranks of entries by reciprocal rank fusion, as ``candidate_depth`` cuts them: int64 (n,), from 1.

    Args:
        queries: int (n,), from 0, ascending.
        ranks: int (n,) by leg, 0 where it does not list the entry.
        legs: Those that are fused.
    """
    return ranks_by_score(queries, np.sum([reciprocal_rank(ranks[leg], k=RRF_K) for leg in legs], axis=0))


def ranks_of(queries: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """The ranks (n,) of scores in their query, from 1; 0 where there is none.

    >>> ranks_of(np.array([0, 0, 0, 1]), np.array([0.5, np.nan, 2.0, 1.0], dtype=np.float32)).tolist()
    [2, 0, 1, 1]
    """
    there = np.flatnonzero(~np.isnan(scores))
    ranks = np.zeros(queries.size, dtype=np.int64)
    ranks[there] = ranks_by_score(queries[there], scores[there])
    return ranks


def _cut(queries: NDArray[np.integer], scores: NDArray[np.float32], depth: int) -> NDArray[np.float32]:
    """Scores (n,) without those of lower ranks than ``depth`` in their query.

    >>> _cut(np.array([0, 0, 0, 1]), np.array([0.5, np.nan, 2.0, 1.0], dtype=np.float32), 1).tolist()
    [nan, nan, 2.0, 1.0]
    """
    return np.where(ranks_of(queries, scores) <= depth, scores, np.float32(np.nan))


def _of_file(path: Path, collection: Collection) -> list[tuple[str, Passage]]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row.get("language", "en") == collection.language]
    return [(normalise_query(row["query"]), Passage("", row.get("title") or "", row["text"])) for row in rows]


def _of_folder(path: Path) -> list[tuple[str, Passage]]:
    """The pairs of the split ``train``, then every passage; those that another split judges are no part of it."""
    passages = {passage.document_id: passage for passage in beir_passages(path)}
    judged: set[str] = set()
    for split in ("test", "val", "dev"):
        if (path / "qrels" / f"{split}.tsv").is_file():
            judged |= {document for _, found in beir_queries(path, split, known=passages) for document in found}
    answered = beir_queries(path, "train", known=passages)
    pairs = [(query, passages[d]) for query, found in answered for d in found if d not in judged and passages[d].said]
    return pairs + [("", passage) for document, passage in passages.items() if document not in judged and passage.said]
