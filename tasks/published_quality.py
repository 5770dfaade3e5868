"""What published rankings are worth on judged queries, by today's judgments for both releases alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.gates import Incomparable, QualityChange
from tasks.measures import Entry, evaluate_run
from tasks.query_names import plain_name
from tasks.significance import lower_bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from storage.paired_rankings import RankingPair
    from storage.records import Judgment

NAMED = 3  # queries that a reason names


def quality_change(
    pairs: Sequence[RankingPair],
    ids_by_key: Mapping[str, Sequence[str]],
    judgments: Sequence[Judgment],
    *,
    measure: str,
    confidence: float,
    ignore_identical_ids: bool,
    generator: np.random.Generator,
) -> QualityChange | Incomparable:
    """Measure both rankings of the judged queries that both releases hold; one without results scores 0.

    A query is the same where its normalised text is: what it was called when the other release was made is not asked.

    Args:
        pairs: Of judged queries.
        ids_by_key: The ids of judged queries by query key.
        judgments: The qrels of today.
        measure: As ir_measures writes it.
        confidence: Of the one-sided interval of the mean difference.
        ignore_identical_ids: Leave out the document that has the query's own id.
        generator: Of the bootstrap.
    """
    if not judgments:
        return Incomparable("nothing is judged")
    shared = [pair for pair in pairs if pair.before is not None]
    ids = {query_id for pair in shared for query_id in ids_by_key[pair.query_key]}
    if not ids:
        return Incomparable("the current release holds none of the judged queries")
    of_these = [judgment for judgment in judgments if judgment.query_id in ids]

    def measured(rankings: Iterable[tuple[str, Sequence[str]]]) -> list[tuple[str, str, float]]:
        run = _entries(rankings, ids_by_key, ignore_identical_ids=ignore_identical_ids)
        return evaluate_run(run, of_these, [measure])

    live = measured((pair.query_key, pair.before or ()) for pair in shared)
    made = measured((pair.query_key, pair.after) for pair in shared)
    before = np.array([value for _, _, value in live])
    after = np.array([value for _, _, value in made])
    losses = sorted((new - old, query_id) for (query_id, _, old), (_, _, new) in zip(live, made, strict=True))
    return QualityChange(
        measure=measure,
        queries=len(ids),
        before=float(before.mean()),
        after=float(after.mean()),
        low=lower_bound(before, after, generator=generator, confidence=confidence),
        worst=tuple(f"{plain_name(query_id)} ({loss:+.3f})" for loss, query_id in losses[:NAMED] if loss < 0),
    )


def judged_share(
    pairs: Iterable[RankingPair],
    ids_by_key: Mapping[str, Sequence[str]],
    judgments: Sequence[Judgment],
    *,
    ignore_identical_ids: bool,
) -> float:
    """Mean Judged@10 of the new release over all judged queries, those that it does not hold included; 0 without any.

    Args:
        pairs: Of judged queries.
        ids_by_key: The ids of judged queries by query key.
        judgments: The qrels of today.
        ignore_identical_ids: Leave out the document that has the query's own id.
    """
    if not judgments:
        return 0.0
    rankings = ((pair.query_key, pair.after) for pair in pairs)
    run = _entries(rankings, ids_by_key, ignore_identical_ids=ignore_identical_ids)
    return float(np.mean([value for _, _, value in evaluate_run(run, judgments, ["Judged@10"])]))


def _entries(
    rankings: Iterable[tuple[str, Sequence[str]]],
    ids_by_key: Mapping[str, Sequence[str]],
    *,
    ignore_identical_ids: bool,
) -> Iterator[Entry]:
    """Scored by falling ranks, so that the order is ours alone."""
    for key, document_ids in rankings:
        for place, document_id in enumerate(document_ids):
            for query_id in ids_by_key[key]:
                if not (ignore_identical_ids and document_id == query_id):
                    yield Entry(query_id, document_id, -float(place))
