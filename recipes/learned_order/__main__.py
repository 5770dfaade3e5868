"""Making the packaged learned order again, from the data to the file that ships, with one command.

    python -m recipes.learned_order --data DIR --output DIR [--reranker MODEL] [--sparse MODEL] [--leave-out FAMILY ...]

Legs and reranker say what they find in each collection, once, kept in the output folder: those of another reranker in
another folder, for which the legs are not asked again. The fit takes a minute. With ``--leave-out`` the file is one
that never saw these families. It needs the extra ``sparse`` where no other sparse model is named.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import App, Parameter

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import write_text
from nightrank.tasks.rank.order_file import order_file
from nightrank.tasks.rerank.cross_encoder import Reranker, about_tokens
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from recipes.learned_order.collections import Scored, listed, read_slice, reranked
from recipes.learned_order.fit import fit
from recipes.learned_order.recipe import COLLECTIONS, FITTING, MIN_QUERIES, Collection
from recipes.legs import load_encoders
from recipes.packaged_reranker.recipe import NAME

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue
    from recipes.learned_order.collections import Rerank

app = App(name="recipes.learned_order", help="Fit the learned order.")

LICENCE = "Apache-2.0; the numbers were fitted on texts of others' licences, of which none is part of it"
COMMAND = "python -m recipes.learned_order --data DIR --output DIR"


@app.default
def main(
    *,
    data: Path,
    output: Path,
    reranker: str = NAME,
    sparse: str = "splade-tiny",
    leave_out: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
) -> None:
    """Fit the learned order.

    Args:
        data: The folder with ``scifact`` and ``training``.
        output: Where scored collections and the file ``learned_order.json`` go; what is there already is used.
        reranker: Whose scores are weighed: a packaged name, a folder or a hub id.
        sparse: The sparse encoder: a packaged name, a folder or a hub id.
        leave_out: Families of collections that the fit does not see, such as ``scifact``.
    """
    families = {collection.group for collection in COLLECTIONS}
    if unknown := sorted(set(leave_out or ()) - families):
        message = f"No collection is of the family {unknown[0]}."
        raise InputError(message, remedy=f"Name some of: {', '.join(sorted(families))}.")
    kept = [collection for collection in COLLECTIONS if collection.group not in set(leave_out or ())]
    scored = scored_collections(kept, data, output, reranker=reranker, sparse=sparse)
    model = fit(list(scored.values()), FITTING, reranker=reranker)
    card: dict[str, JsonValue] = {
        "made_by": COMMAND,
        "reranker": reranker,
        "legs": ["BM25", "the packaged dual encoder", sparse],
        "data": {name: int((one.answer_counts > 0).sum()) for name, one in scored.items()},  # queries by collection
        "licence": LICENCE,
    }
    write_text(output / "learned_order.json", order_file(model, card))


def scored_collections(
    collections: list[Collection], data: Path, output: Path, *, reranker: str, sparse: str
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


if __name__ == "__main__":
    app()
