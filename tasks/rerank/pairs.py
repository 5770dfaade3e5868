"""The fourth stage: pairs that the memo does not hold are scored over the whole log, and the final order is set.

A model that runs here takes pairs of like length together. A hosted reranker takes one query at a time, those most in
demand first, and stops where no more may be spent: a query that lacks a score is then ordered without it, whatever is
known of it, and the next run goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.filters.queries import TEXT_KEYS, keys_of_texts, text_keys
from nightrank.storage.wide import first_of_each, rows_at, sorted_rows
from nightrank.tasks.rerank.scorer import PaidScorer
from nightrank.tasks.rerank.shards import PAIRS, PairSharding, check_stored_scores
from nightrank.tasks.runtime.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.memo.pair_scores import PairMemo
    from nightrank.tasks.rerank.scorer import Scorer
    from nightrank.tasks.settings.quality import DriftCheckSettings

COMMIT_PAIRS = 1024  # pairs scored between two commits: what a killed run loses at most
TEXTS_HELD = 32_768  # pairs whose texts are in memory at one time


@dataclass(frozen=True, slots=True)
class PairsScored:
    """What the reranking stage did.

    Attributes:
        pairs: Distinct ones that it needed.
        scored: Those of them that no earlier run had scored, and this one did.
        checked: Scores of earlier runs that were computed again and agreed.
        left: Pairs without a score, because no more was to be spent.
        queries_left: Queries with such a pair, which are ordered without the reranker.
        searches: That a provider billed.
    """

    pairs: int
    scored: int
    checked: int
    left: int = 0
    queries_left: int = 0
    searches: int = 0


class ChunkTexts(Protocol):
    """What chunks say, as a chunk table does."""

    def rows(self, chunk_hashes: pa.Array, columns: Sequence[str]) -> pa.Table:
        """``chunk_hash`` and ``text`` or ``tokens`` of some chunks, string (n,) distinct, in no particular order."""
        ...


@dataclass(frozen=True, slots=True)
class PairTexts:
    """What pairs say.

    Attributes:
        queries: Normalised texts by the queries' keys, those most in demand first.
        chunks: Where the texts of chunks are, and their lengths.
        text_keys: The queries with a filter and the keys of their texts, schema TEXT_KEYS.
    """

    queries: dict[str, str]
    chunks: ChunkTexts
    text_keys: pa.Table = field(default_factory=TEXT_KEYS.empty_table)

    @classmethod
    def of(cls, queries: pa.Table, chunks: ChunkTexts) -> Self:
        """What pairs of some queries, schema QUERIES, say."""
        columns = (queries.column(name).to_pylist() for name in ("query_key", "text"))
        return cls(dict(zip(*columns, strict=True)), chunks, text_keys(queries))

    def with_text_keys(self, pairs: pa.Table) -> pa.Table:
        """Pairs, ``query_key`` and ``chunk_hash``, with the ``text_key`` by which models know the query."""
        keys = keys_of_texts(pairs.column("query_key"), self.text_keys)
        return pairs.select(["query_key", "chunk_hash"]).append_column("text_key", keys)


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """How stored scores are watched.

    Attributes:
        settings: Size of the sample, and tolerance.
        precision: Of the reranker.
        generator: Draws the sample.
    """

    settings: DriftCheckSettings
    precision: str
    generator: np.random.Generator


def score_pairs(
    pairs: pa.Table,
    memo: PairMemo,
    texts: PairTexts,
    *,
    load: Callable[[], Scorer],
    drift_check: DriftCheck,
    sharding: PairSharding | None = None,
) -> tuple[NDArray[np.float32], PairsScored]:
    """The score of every pair; what the memo does not hold is computed or asked for, committed batch by batch.

    Queries that differ in their filters alone share what is known of their text: a pair of text and chunk is computed
    or paid for once. Scores that were paid for are not watched by the drift check: that would be to pay for them again.

    Args:
        pairs: ``query_key`` and ``chunk_hash`` (n,); a pair may come more than once.
        memo: Of this reranker.
        texts: Of the pairs.
        load: Loads the reranker; called only where a score is missing.
        drift_check: Watches what the memo holds, before anything is added.
        sharding: How workers score what is more than a shard; None where this process scores all.

    Returns:
        float32 (n,), NaN for all pairs of a query that lacks one because of a spending cap; and what was done for it.

    Raises:
        MachineError: The reranker does not say again what the memo holds, or a hosted one does not answer.
    """
    pairs = texts.with_text_keys(pairs)
    known, stored = memo.scores_of(_as_remembered(pairs))
    unknown = np.ones(pairs.num_rows, dtype=bool)
    unknown[known] = False
    missing = pairs.filter(pa.array(unknown))
    checked = searches = 0
    unscored = _first_of_each(missing)
    if sharding is not None and unscored.num_rows > sharding.sharding.pairs:
        sample = _sample(pairs, known, stored, drift_check)
        checked = sample.num_rows
        _compute_in_shards(unscored, memo, texts, sharding, sample)
    elif missing.num_rows:
        reranker = load()
        if isinstance(reranker, PaidScorer):
            before = reranker.searches
            try:
                _ask(_first_of_each(_by_query(missing, texts)), memo, texts, reranker)
            finally:
                reranker.close()
            searches = reranker.searches - before
        else:
            sample = _sample(pairs, known, stored, drift_check)
            checked = _check_stored(sample, texts, reranker, drift_check)
            _compute(unscored, memo, texts, reranker)
    if missing.num_rows:
        known, stored = memo.scores_of(_as_remembered(pairs))
    scores = np.full(pairs.num_rows, np.nan, dtype=np.float32)
    scores[known] = stored
    left = pairs.filter(pa.array(np.isnan(scores)))
    pairs_left = _first_of_each(left).num_rows
    unfinished = pc.unique(left.column("query_key"))
    done = PairsScored(
        pairs=_first_of_each(pairs).num_rows,
        scored=unscored.num_rows - pairs_left,
        checked=checked,
        left=pairs_left,
        queries_left=len(unfinished),
        searches=searches,
    )
    scores[pc.is_in(pairs.column("query_key"), value_set=unfinished).to_numpy()] = np.nan
    return scores, done


def distinct(pairs: pa.Table) -> pa.Table:
    """Each (query_key, chunk_hash) once."""
    columns = [pairs.column(name) for name in ("query_key", "chunk_hash")]
    return rows_at(pairs.select(["query_key", "chunk_hash"]), first_of_each(*columns))


def _first_of_each(pairs: pa.Table) -> pa.Table:
    """Each (text_key, chunk_hash) once, for the query by which it comes first, in their order."""
    return rows_at(pairs, first_of_each(pairs.column("text_key"), pairs.column("chunk_hash")))


def _as_remembered(pairs: pa.Table) -> pa.Table:
    """Pairs with ``text_key`` as the memo knows them."""
    return pa.table({"query_key": pairs.column("text_key"), "chunk_hash": pairs.column("chunk_hash")})


def _check_stored(sample: pa.Table, texts: PairTexts, reranker: Scorer, drift_check: DriftCheck) -> int:
    """Score a sample of known pairs with their ``stored`` scores again; how many they were."""
    in_words = _stored_in_words(sample, texts)
    if in_words is None:
        return 0
    check_stored_scores(reranker, in_words, settings=drift_check.settings, precision=drift_check.precision)
    return int(in_words.num_rows)


def _stored_in_words(sample: pa.Table, texts: PairTexts) -> pa.Table | None:
    """A sample with the texts of both, schema PAIRS and the ``stored`` score of each; None where it is empty."""
    if sample.num_rows == 0:
        return None
    [(held, says)] = _with_texts(_by_length(sample, texts), texts, at_a_time=sample.num_rows)
    return _in_words(held, says, texts).append_column("stored", held.column("stored"))


def _sample(
    pairs: pa.Table, known: NDArray[np.int64], stored: NDArray[np.float32], drift_check: DriftCheck
) -> pa.Table:
    """Some of the known pairs, by their rows (n,), with their ``stored`` scores, float32 (n,)."""
    drawn = drift_check.generator.choice(stored.size, min(drift_check.settings.sample or 0, stored.size), replace=False)
    return rows_at(pairs, known[drawn]).append_column("stored", pa.array(stored[drawn]))


def _ask(missing: pa.Table, memo: PairMemo, texts: PairTexts, reranker: PaidScorer) -> None:
    """Ask for scores query by query, in the queries' order; each answer is committed before the next is asked for."""
    with progress("reranking", missing.num_rows) as advance:
        for held, says in _with_texts(_by_query(missing, texts), texts):
            queries = held.column("query_key").to_pylist()
            starts = [row for row in range(len(queries)) if row == 0 or queries[row] != queries[row - 1]]
            for start, end in zip(starts, [*starts[1:], len(queries)], strict=True):
                pairs = held.slice(start, end - start)
                passages = [says[chunk_hash] for chunk_hash in pairs.column("chunk_hash").to_pylist()]
                for answer in reranker.answers(texts.queries[queries[start]], passages):
                    memo.append(_as_remembered(pairs.take(pa.array(answer.places))), answer.scores)
                    advance(len(answer.places))
                if reranker.is_spent:
                    return


def _by_query(pairs: pa.Table, texts: PairTexts) -> pa.Table:
    """Pairs by the place of their query among the texts, which is its demand's."""
    places = pc.index_in(pairs.column("query_key"), value_set=pa.array(list(texts.queries)))
    order = [("place", "ascending"), ("chunk_hash", "ascending")]
    return sorted_rows(pairs.append_column("place", places), order).drop_columns(["place"])


def _compute(missing: pa.Table, memo: PairMemo, texts: PairTexts, reranker: Scorer) -> None:
    with progress("reranking", missing.num_rows) as advance:
        for batch, scores in _scores(_by_length(missing, texts), texts, reranker, at_a_time=COMMIT_PAIRS):
            memo.append(_as_remembered(batch), scores)
            advance(batch.num_rows)


def _compute_in_shards(
    missing: pa.Table, memo: PairMemo, texts: PairTexts, sharding: PairSharding, sample: pa.Table
) -> None:
    """Workers score, and this process alone commits; a shard that has ended is never lost."""
    rows = sharding.sharding.pairs
    shards = (_in_words(*held, texts) for held in _with_texts(_by_length(missing, texts), texts, at_a_time=rows))
    for pairs, scores in sharding.scores(shards, stored=_stored_in_words(sample, texts)):
        memo.append(_as_remembered(pairs), scores)


def _in_words(pairs: pa.Table, says: dict[str, str], texts: PairTexts) -> pa.Table:
    """Pairs with the texts of both, schema PAIRS: all that is needed to score them."""
    columns = {name: pairs.column(name) for name in ("text_key", "chunk_hash")}
    columns["query"] = pa.array([texts.queries[key] for key in pairs.column("query_key").to_pylist()], pa.string())
    columns["text"] = pa.array([says[key] for key in pairs.column("chunk_hash").to_pylist()], pa.string())
    return pa.table({**columns, "tokens": pairs.column("tokens")}).cast(PAIRS)


def _by_length(pairs: pa.Table, texts: PairTexts) -> pa.Table:
    """Pairs with the ``tokens`` of their chunks, the longest first."""
    lengths = texts.chunks.rows(pc.unique(pairs.column("chunk_hash")), ["tokens"])
    # A whole order, so that on a GPU the same pairs make the same batches, and with them the same scores.
    order = [("tokens", "descending"), ("chunk_hash", "ascending"), ("text_key", "ascending")]
    return sorted_rows(pairs.join(lengths, "chunk_hash"), order)


def _scores(
    pairs: pa.Table, texts: PairTexts, reranker: Scorer, *, at_a_time: int
) -> Iterator[tuple[pa.Table, NDArray[np.float32]]]:
    """Batches of the pairs, in order, and their scores."""
    for held, says in _with_texts(pairs, texts):
        for first in range(0, held.num_rows, at_a_time):
            batch = held.slice(first, at_a_time)
            yield (
                batch,
                reranker.score(
                    [texts.queries[key] for key in batch.column("query_key").to_pylist()],
                    [says[key] for key in batch.column("chunk_hash").to_pylist()],
                    batch.column("tokens").to_numpy(),
                ),
            )


def _with_texts(
    pairs: pa.Table, texts: PairTexts, *, at_a_time: int = TEXTS_HELD
) -> Iterator[tuple[pa.Table, dict[str, str]]]:
    """The pairs in order, as many at a time as may have their texts in memory, and these texts by chunk hash."""
    for start in range(0, pairs.num_rows, at_a_time):
        held = pairs.slice(start, at_a_time)
        rows = texts.chunks.rows(pc.unique(held.column("chunk_hash")), ["text"])
        yield held, dict(zip(rows.column("chunk_hash").to_pylist(), rows.column("text").to_pylist(), strict=True))
