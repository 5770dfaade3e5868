"""What a reranker is worth on collections left out whole, and on the held-out documents of all other sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.rerank.cross_encoder import Reranker, about_tokens
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from nightrank.tasks.train.reranker.stages import score_held_out
from nightrank.tasks.train.reranker.validate import by_weight, fused_ndcg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.tasks.train.sets import TrainingSet
    from recipes.packaged_reranker.recipe import Source

LEFT_OUT, HELD_OUT = 40, 4  # queries of a source, left out whole or not
DEPTH = 20  # candidates of a query
SHOWN = (0.3, 0.5)  # weights in the table, beside none and the reranker alone


def figures(folder: Path, sets: Mapping[Source, TrainingSet], *, device: str) -> dict[str, dict[str, float]]:
    """nDCG@10 of what was never learnt from, by weight, by collection or family.

    Args:
        folder: The reranker's.
        sets: Of every source.
        device: Where it runs.
    """
    settings = RerankerSettings(model=str(folder))
    plan = plan_local(settings, ExecutionSettings.model_validate({"device": device}), base=folder.parent)
    reranker = Reranker(plan)

    def score(queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        return reranker.score(queries, texts, about_tokens(texts))

    by_group: dict[str, list[dict[float | str, NDArray[np.float64]]]] = {}
    for source, whole in sets.items():
        queries = whole.held_out[: LEFT_OUT if source.left_out else HELD_OUT]
        if queries:
            scores = score_held_out(score, queries, whole, depth=DEPTH)
            values: dict[float | str, NDArray[np.float64]] = {
                one: found
                for one, found in by_weight(queries, whole.passages, scores, weights=(0.0, *SHOWN, 1.0)).items()
                if one is not None
            }
            values["three legs"] = fused_ndcg(queries, whole.passages, depth=DEPTH)
            by_group.setdefault(source.name if source.left_out else f"held out: {source.family}", []).append(values)
    means = {
        name: {one: float(np.concatenate([each[one] for each in found]).mean()) for one in found[0]}
        for name, found in by_group.items()
    }
    return {
        name: {
            "queries": float(sum(each[0.0].size for each in by_group[name])),
            "two legs": round(values[0.0], 4),
            "three legs": round(values["three legs"], 4),
            **{f"{one:g}": round(values[one], 4) for one in SHOWN},
            "alone": round(values[1.0], 4),
        }
        for name, values in means.items()
    }
