"""Making the packaged learned order again, from the data to the file that ships, with one command.

    python -m recipes.learned_order --data DIR --output DIR [--reranker MODEL] [--sparse MODEL] [--leave-out FAMILY ...]

Legs and reranker say what they find in each collection, once, kept in the output folder: those of another reranker in
another folder, for which the legs are not asked again. The fit takes a minute. With ``--leave-out`` the file is one
that never saw these families. It needs the extra ``sparse`` where no other sparse model is named.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads it
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import write_text
from nightrank.tasks.rank.order_file import order_file
from recipes.learned_order.fit import fit
from recipes.learned_order.recipe import COLLECTIONS, FITTING
from recipes.learned_order.scored import scored_collections
from recipes.packaged_reranker.recipe import NAME

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue

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


if __name__ == "__main__":
    app()
