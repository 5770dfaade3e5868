"""How wrong near answers are: known queries answered as if they were not known, against their own answers.

The queries that are held out are those of the log itself that another one says the same as, or that are one edit away
from: what people type tomorrow differs from the log as these differ from one another. A move is on where the mean loss
is within its limit with confidence; where too few pairs are there to say so it is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nightrank.storage.keys import short_key
from nightrank.storage.release.near_record import NearMove
from nightrank.tasks.gates.quality import ranking_values
from nightrank.tasks.near.bounds import upper_bound
from nightrank.tasks.near.find import Move, find_near

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.storage.records import Judgment
    from nightrank.tasks.near.known import KnownQueries
    from nightrank.tasks.near.reading import QueryReader
    from nightrank.tasks.settings.near import NearSettings

OVERLAP = "overlap"


class HeldOutPair(NamedTuple):
    """A query that was held out, and the one whose answer it would have got; by their keys."""

    query_key: str
    near_key: str


class Judged(NamedTuple):
    """What was judged.

    Attributes:
        judgments: The qrels.
        query_ids: Of judged queries, by the key of the query.
        measure: As ir_measures writes it.
        ignore_identical_ids: Leave out the document that has the query's own id.
    """

    judgments: Sequence[Judgment]
    query_ids: Mapping[str, Sequence[str]]
    measure: str
    ignore_identical_ids: bool


def held_out_pairs(known: KnownQueries, read: QueryReader) -> dict[Move, list[HeldOutPair]]:
    """Known queries that another one would have answered, had they not been known.

    Args:
        known: All of them.
        read: Reads queries as the release's analysis does.
    """
    pairs: dict[Move, list[HeldOutPair]] = {move: [] for move in Move}
    for number, query in enumerate(known.queries):
        found = find_near(query.text, query.condition, read=read, known=known.without(number), moves=frozenset(Move))
        if found is not None:
            pairs[found.move].append(HeldOutPair(query.query_key, found.query_key))
    return pairs


def drawn_pairs(pairs: Mapping[Move, Sequence[HeldOutPair]], *, seed: int, most: int) -> dict[Move, list[HeldOutPair]]:
    """Some of the pairs of each move, drawn by their keys: the same ones in every run, in the order of the draw.

    Args:
        pairs: All of them, by move.
        seed: Of the draw.
        most: Of a move.
    """
    return {
        move: sorted(of, key=lambda pair: short_key("near held out", str(seed), pair.query_key))[:most]
        for move, of in pairs.items()
    }


def calibrate(
    pairs: Mapping[Move, Sequence[HeldOutPair]],
    *,
    ranking: Callable[[str], Sequence[str]],
    overlap: Callable[[Sequence[str], Sequence[str]], float],
    judged: Judged,
    settings: NearSettings,
    tests: int = len(Move),
) -> dict[Move, NearMove]:
    """What each move may lose, and whether it is on.

    Args:
        pairs: By move.
        ranking: The documents that a query is answered with, by its key.
        overlap: How alike two rankings are.
        judged: What was judged.
        settings: The limits.
        tests: How many bounds are to hold together, these among them.
    """
    confidence = 1.0 - (1.0 - settings.confidence) / tests  # Bonferroni's
    found: dict[Move, NearMove] = {}
    for move in Move:
        answers = [Compared(pair.query_key, *map(ranking, pair)) for pair in pairs[move]]
        overlaps = np.array([overlap(one.own, one.near) for one in answers], dtype=np.float64)
        of_move = measured(move.value, answers, overlaps, judged, settings, confidence=confidence)
        needs_wording = move is Move.ORDER and not found[Move.WORDING].is_on
        found[move] = of_move.model_copy(update={"is_on": of_move.is_on and not needs_wording})
    return found


class Compared(NamedTuple):
    """A query that was held out, by its key; its own answer, and the one that it would have got."""

    query_key: str
    own: Sequence[str]
    near: Sequence[str]


def measured(
    move: str,
    answers: Sequence[Compared],
    overlaps: NDArray[np.float64],
    judged: Judged,
    settings: NearSettings,
    *,
    confidence: float,
) -> NearMove:
    """What answers lose, by the judgments where enough is judged, and whether that is within the limit.

    Args:
        move: In what they differ.
        answers: Of queries that were held out, (n,), in an order that is random.
        overlaps: float64 (n,), how alike the two answers of each are.
        judged: What was judged.
        settings: The limits.
        confidence: Of the bound.
    """
    lost = _lost_quality(answers, judged)
    # Enough is judged where the limit could be kept if nothing was lost at all.
    enough = upper_bound(np.zeros(lost.size), least=-1.0, confidence=confidence) <= settings.max_error
    losses, least = (lost, -1.0) if enough else (1.0 - overlaps, 0.0)
    limit = settings.max_error if enough else settings.max_lost_overlap
    bound = upper_bound(losses, least=least, confidence=confidence)
    return NearMove(
        move=move,
        measured_by=judged.measure if enough else OVERLAP,
        held_out=losses.size,
        error=float(losses.mean()) if losses.size else None,
        bound=bound,
        limit=limit,
        overlap=float(overlaps.mean()) if overlaps.size else None,
        is_on=bound <= limit,
    )


def _lost_quality(answers: Sequence[Compared], judged: Judged) -> NDArray[np.float64]:
    """What each judged query would have lost, from -1 to 1: float64 (n,); those that nobody judged are passed over."""
    wanted = [
        (query_id, tuple(one.own), tuple(one.near))
        for one in answers
        for query_id in judged.query_ids.get(one.query_key, ())
    ]
    if not wanted:
        return np.zeros(0, dtype=np.float64)
    values = ranking_values(
        {(query_id, ids) for query_id, *both in wanted for ids in both},
        judged.judgments,
        measure=judged.measure,
        ignore_identical_ids=judged.ignore_identical_ids,
    )
    lost = [values[query_id, own] - values[query_id, near] for query_id, own, near in wanted]
    return np.array(lost, dtype=np.float64)
