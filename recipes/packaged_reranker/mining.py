"""What is learnt from a slice of a source: queries, answers, what three legs confuse with these, and their opinion.

That opinion is the teacher: each leg's scores are stretched to 0 to 1 over the best of all three, and their mean is
better than any of them, on any number of queries and passages that nobody judged. It also tells which candidates are no
negatives: those that it holds clearly above the answer most likely answer too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.legs import LEGS
from nightrank.tasks.train.false_negatives import too_close
from nightrank.tasks.train.sets import Candidate, HeldOutQuery, TrainingSet
from nightrank.tasks.train.sources import MinedQuery, Passage
from recipes.legs import DEPTH as HELD_OUT_CANDIDATES
from recipes.legs import SETTINGS, find, indexed
from recipes.packaged_reranker.recipe import LEFT_OUT_QUERIES, PASSAGES, QUERIES
from recipes.packaged_reranker.runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.legs import LegName
    from recipes.legs import Encoders
    from recipes.packaged_reranker.held_out import Prepared
    from recipes.packaged_reranker.recipe import Source
    from recipes.packaged_reranker.sources import Asked

DEPTH = 60  # candidates of a leg
NEGATIVES = 24  # that are kept of a query: the first two thirds from the top, the rest from all that follow
LEAST_NEGATIVES = 7
MARGIN = 0.10  # how far above the answer the legs may hold a negative
LOST = 40  # before a weak answer so many passages may stand, or it is no answer
ANSWERS_SHARE = 0.6  # of a slice, at most
ANYWHERE_SHARE = 0.1  # of a slice, drawn at random
CONFUSED_DEPTH = 30  # of what BM25 finds for a query


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a source: queries, their answers, and passages that are like them.

    Attributes:
        passages: Each a document of its own, named by its place.
        queries: Their answers are places in it.
        held: Places of the passages that are never shown in training.
    """

    passages: list[Passage]
    queries: list[Asked]
    held: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The passages that some leg finds for a query, and its answers.

    Attributes:
        places: int64 (n,), ascending.
        legs: float32 (3, n), the scores in the order of ``LEGS``.
        opinion: float64 (n,), of all legs, from 0 to 1.
    """

    places: NDArray[np.int64]
    legs: NDArray[np.float32]
    opinion: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.float32], answers: Sequence[int]) -> Candidates:
        """The best of each leg, and the answers.

        Args:
            scores: float32 (3, n_passages), of every passage.
            answers: Places.
        """
        best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        places = np.unique(np.concatenate([best.ravel(), np.array(answers, dtype=np.int64)]))
        legs = scores[:, places]
        return cls(places, legs, np.mean([stretched(leg) for leg in legs], axis=0))


def stretched(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores from 0 to 1; all 0 where they are all equal.

    >>> stretched(np.array([-1.0, 3.0, 1.0, 1.0])).tolist()
    [0.0, 1.0, 0.5, 0.5]
    """
    low, high = float(scores.min()), float(scores.max())
    return (scores.astype(np.float64) - low) / (high - low) if high > low else np.zeros(scores.shape)


def slice_of(source: Source, prepared: Prepared, *, passages: int = PASSAGES, queries: int = QUERIES) -> Slice:
    """A part of a source, always the same.

    Queries drawn at random, held-out ones first, their answers, a tenth of passages drawn at random, and what BM25
    finds for the queries in the whole source, rank by rank.

    Args:
        source: Whose.
        prepared: The whole.
        passages: At most.
        queries: To learn from, at most.
    """
    generator = random.Random(source.name)
    asked = list(prepared.queries)
    generator.shuffle(asked)
    held = [query for query in asked if query.is_held]
    held = held[: LEFT_OUT_QUERIES if source.left_out else max(30, queries // 12)]
    count = len(prepared.passages)
    chosen: list[Asked] = []
    wanted: set[int] = set()
    for query in held + [query for query in asked if not query.is_held][:queries]:
        if count <= passages or len(wanted | set(query.answers)) <= ANSWERS_SHARE * passages:
            wanted |= set(query.answers)
            chosen.append(query)
    rest = [place for place in range(count) if place not in wanted]
    generator.shuffle(rest)
    if count > passages:
        wanted |= set(rest[: int(ANYWHERE_SHARE * passages)])
        for place in _confused([query.query for query in chosen], prepared.passages):
            if len(wanted) >= passages:
                break
            wanted.add(place)
    else:
        wanted |= set(rest)
    places = sorted(wanted)
    moved = {old: new for new, old in enumerate(places)}
    return Slice(
        [Passage(str(moved[old]), prepared.passages[old].title, prepared.passages[old].text) for old in places],
        [replace(query, answers=tuple(moved[place] for place in query.answers)) for query in chosen],
        frozenset(moved[place] for place in places if place in prepared.held),
    )


def mine(source: Source, part: Slice, encoders: Encoders) -> TrainingSet:
    """What is learnt from a slice, and what is measured on it.

    Args:
        source: Whose.
        part: The slice.
        encoders: Of the legs over vectors.
    """
    read = [Passage(one.document_id, one.title if source.has_titles else "", one.text) for one in part.passages]
    found = find([query.query for query in part.queries], read, encoders, depth=len(read))
    scores = np.stack([found.scores(leg, queries=len(part.queries)) for leg in LEGS], axis=1)
    runs = runs_of([passage.text for passage in part.passages]).of_each()
    mined: list[MinedQuery] = []
    held_out: list[HeldOutQuery] = []
    for query, own in zip(part.queries, scores, strict=True):
        candidates = Candidates.of(own, query.answers)
        if query.is_held:
            held_out.append(_held_out(query, candidates))
            continue
        close = too_close(found.vectors[candidates.places], found.vectors[list(query.answers)])
        answer_runs = frozenset[int]().union(*(runs[place] for place in query.answers))
        close |= np.array([not answer_runs.isdisjoint(runs[place]) for place in candidates.places.tolist()])
        learnt = taught(query, candidates, close=close, held=part.held)
        if learnt is not None:
            mined.append(learnt)
    everything = tuple(range(len(part.passages)))
    return TrainingSet(part.passages, mined, held_out, part.held, everything)


def taught(
    query: Asked, candidates: Candidates, *, close: NDArray[np.bool_], held: frozenset[int]
) -> MinedQuery | None:
    """What is learnt from a query: the answer that the legs hold for the best one, negatives, and their opinion.

    Args:
        query: It.
        candidates: Its.
        close: bool (n,), which of them say what an answer says.
        held: Places of the passages that are never shown.

    Returns:
        None where a weak answer is lost far down, or hardly any negative is left.
    """
    answer = max(query.answers, key=lambda place: candidates.opinion[np.searchsorted(candidates.places, place)])
    level = float(candidates.opinion[np.searchsorted(candidates.places, answer)])
    if query.is_weak and int((candidates.opinion > level).sum()) >= LOST:
        return None
    negatives: list[tuple[int, float]] = []
    refused: set[int] = set(query.answers) - {answer}
    for row in np.argsort(-candidates.opinion, kind="stable").tolist():
        place, opinion = int(candidates.places[row]), float(candidates.opinion[row])
        if place in query.answers or place in held:
            continue
        if close[row] or opinion > level + MARGIN:
            refused.add(place)
        else:
            negatives.append((place, opinion))
    if len(negatives) < LEAST_NEGATIVES:
        return None
    near = negatives[: NEGATIVES * 2 // 3]
    far = negatives[len(near) :]
    every = max(1, len(far) // (NEGATIVES - len(near)))
    kept = (near + far[::every])[:NEGATIVES]
    return MinedQuery(query.query, ((answer, level),), tuple(kept), 0.0, false_negatives=tuple(sorted(refused)))


def _held_out(query: Asked, candidates: Candidates) -> HeldOutQuery:
    best = np.argsort(-candidates.opinion, kind="stable")[:HELD_OUT_CANDIDATES].tolist()
    listed = [
        Candidate(int(candidates.places[row]), float(candidates.opinion[row]), _by_leg(candidates.legs[:, row]))
        for row in best
    ]
    return HeldOutQuery(query.query, {str(place): 1 for place in query.answers}, tuple(listed))


def _by_leg(scores: NDArray[np.float32]) -> Mapping[LegName, float]:
    return dict(zip(LEGS, scores.tolist(), strict=True))


def _confused(queries: Sequence[str], passages: Sequence[Passage]) -> list[int]:
    """The places of what BM25 finds for queries: the best of each, then the second ones, and so on."""
    texts = [Passage(str(place), "", passage.text) for place, passage in enumerate(passages)]
    with indexed(texts, lambda said: np.ones((len(said), 1), dtype=np.float32)) as index:  # no vectors are asked for
        table = index.first_stage.bm25(queries, settings=SETTINGS, depth=CONFUSED_DEPTH)
        places = index.listing.column("document_id").to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.argsort(table.column("rank").to_numpy(), kind="stable")
    found: list[int] = places[table.column("chunk_number").to_numpy()[order]].tolist()
    return found
