"""What legs and reranker say of the collections that are fitted on, kept in files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.rerank.cross_encoder import Reranker, about_tokens
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from recipes.learned_order.collections import Scored, listed, read_slice, reranked
from recipes.learned_order.recipe import MIN_QUERIES, Collection
from recipes.legs import load_encoders
from recipes.packaged_reranker.recipe import NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recipes.learned_order.collections import Rerank


def scored_collections(
    collections: Sequence[Collection], data: Path, output: Path, *, reranker: str, sparse: str
) -> dict[str, Scored]:
    """What legs and reranker say of collections, by name; computed where it is not there yet.

    Args:
        collections: Which.
        data: The folder of the data.
        output: Where they are kept.
        reranker: Whose scores they have.
        sparse: The sparse encoder.
    """
    own, of_legs = output / f"scored-{Path(reranker).name}", output / "legs"
    for folder in (own, of_legs):
        folder.mkdir(parents=True, exist_ok=True)
    encoders = cache(lambda: load_encoders(sparse=sparse, base=data))
    rerank = cache(lambda: load_rerank(data, reranker=reranker))
    found: dict[str, Scored] = {}
    for collection in collections:
        path, legs_path = (folder / f"{collection.name}.npz" for folder in (own, of_legs))
        if not path.is_file():
            part = read_slice(collection, data)
            if len(part.queries) < MIN_QUERIES:
                continue
            if not legs_path.is_file():
                listed(part, encoders()).write(legs_path)
            scored = Scored.read(legs_path)
            is_flattered = reranker == NAME and collection.is_learnt_from
            (scored if is_flattered else reranked(scored, part, rerank())).write(path)
        found[collection.name] = Scored.read(path)
        print(f"{len(found)} of {len(collections)}: {collection.name}", flush=True)  # noqa: T201 (a program's output)
    return found


def load_rerank(base: Path, *, reranker: str) -> Rerank:
    """What makes pair scores.

    Args:
        base: What a relative folder is relative to.
        reranker: A packaged name, a folder or a hub id.
    """
    cross_encoder = Reranker(plan_local(RerankerSettings(model=reranker), ExecutionSettings(), base=base))
    return lambda queries, texts: np.asarray(cross_encoder.score(queries, texts, about_tokens(texts)))
