"""Another reranker as teacher: its scores take the place of the first stage's teacher scores of what is learnt from.

A pair is scored once, whatever trainings ask for it: the scores lie in a memo of pairs beside the trained models,
apart from that of the nights, so that a training and a night never write into one file.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.keys import digest, query_key
from nightrank.storage.memo.pair_scores import PairMemo
from nightrank.storage.workspace.locks import held
from nightrank.tasks.rerank.cross_encoder import Reranker, about_tokens
from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.train.false_negatives import standardised

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.operation import ExecutionSettings
    from nightrank.tasks.settings.ranking import RerankerSettings
    from nightrank.tasks.train.sources import MinedQuery, Passage

FOLDER = "teachers"
COMMIT_PAIRS = 1024


def teacher_settings(settings: RerankerSettings, teacher: str) -> RerankerSettings:
    """Those of a teacher: what they say of the reranker's own files, of its length and its prompt, is not of it."""
    own = {"revision": None, "sha256": None, "max_tokens": None, "prompt": None}
    return settings.model_copy(update={"model": teacher, **own})


def ask_teacher(
    queries: Sequence[MinedQuery],
    passages: Sequence[Passage],
    *,
    negatives: int,
    plan: RerankerPlan,
    execution: ExecutionSettings,
    folder: Path,
) -> tuple[list[MinedQuery], int]:
    """Queries whose teacher scores are a teacher's scores, standardised over each query's passages.

    Args:
        queries: With answers and negatives.
        passages: What their places point into.
        negatives: Of each query so many are kept, the first.
        plan: The teacher; loaded where a score is not known.
        execution: Where it runs.
        folder: Of trained models, below which scores are kept.

    Returns:
        The queries, and how many of the scores were known before.
    """
    kept = [replace(query, negatives=query.negatives[:negatives]) for query in queries]
    pairs = [(query.query, place) for query in kept for place, _ in (*query.answers, *query.negatives)]
    texts = [passages[place].model_text() for _, place in pairs]
    keys = pa.table(
        {
            "query_key": [query_key(query) for query, _ in pairs],
            "chunk_hash": [digest("chunk", text) for text in texts],
        }
    )
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    lock = folder / f".{FOLDER}.lock"
    with (
        held(lock, what=f"the teachers' scores in {folder}", now=datetime.now(UTC)),
        PairMemo(folder / FOLDER, reranker=plan.fingerprint) as memo,
    ):
        known, _ = memo.scores_of(keys)
        _score_missing(memo, keys, pairs, texts, known=known.tolist(), plan=plan, execution=execution)
        places, found = memo.scores_of(keys)
    scores = np.full(len(pairs), np.nan, dtype=np.float64)
    scores[places] = found
    return _with_teacher_scores(kept, scores), len(known)


def _score_missing(
    memo: PairMemo,
    keys: pa.Table,
    pairs: Sequence[tuple[str, int]],
    texts: Sequence[str],
    *,
    known: Sequence[int],
    plan: RerankerPlan,
    execution: ExecutionSettings,
) -> None:
    there = set(known)
    missing: dict[tuple[str, str], int] = {}
    named = zip(keys.column("query_key").to_pylist(), keys.column("chunk_hash").to_pylist(), strict=True)
    for place, name in enumerate(named):
        if place not in there:
            missing.setdefault(name, place)
    if not missing:
        return
    reranker = Reranker(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
    order = sorted(missing.values(), key=lambda place: -len(texts[place]))
    with progress("asking the teacher", len(order)) as advance:
        for start in range(0, len(order), COMMIT_PAIRS):
            block = order[start : start + COMMIT_PAIRS]
            shown = [texts[place] for place in block]
            scores = reranker.score([pairs[place][0] for place in block], shown, about_tokens(shown))
            memo.append(keys.take(pa.array(block)), scores)
            advance(len(block))


def _with_teacher_scores(queries: Sequence[MinedQuery], scores: NDArray[np.float64]) -> list[MinedQuery]:
    taught = []
    start = 0
    for query in queries:
        count = len(query.answers)
        own = standardised(scores[start : start + count + len(query.negatives)]).tolist()
        start += len(own)
        answers = tuple((place, value) for (place, _), value in zip(query.answers, own[:count], strict=True))
        negatives = tuple((place, value) for (place, _), value in zip(query.negatives, own[count:], strict=True))
        taught.append(replace(query, answers=answers, negatives=negatives, floor=min(own)))
    return taught
