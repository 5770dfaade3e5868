"""Making the packaged reranker again, from the data to the folder that ships, with one command.

    python -m recipes.packaged_reranker --data DIR --output DIR [--start FOLDER] [--steps N]

It mines, trains (hours on two cores; an interrupted run goes on from its last checkpoint), chooses the weight on
held-out queries, and writes the model's folder into the output folder. Runs with the same seeds draw the same
groups; their weights are alike, not equal to the last bit, because threads add in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclopts import App
from prefect import flow

from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import LearningSettings
from recipes.packaged_reranker.recipe import GROUPS, LEARNING, RECIPES, Recipe
from recipes.packaged_reranker.stages import export_reranker, mine_source, train_on_sources

app = App(name="recipes.packaged_reranker", help="Train nightrank-minilm.")


@flow(name="packaged reranker", validate_parameters=False)
def make_packaged_reranker(
    data: Path,
    output: Path,
    *,
    learning: LearningSettings = LEARNING,
    groups: GroupSettings = GROUPS,
    recipes: Sequence[Recipe] = RECIPES,
    start: Path | None = None,
    device: str = "auto",
) -> Path:
    """Make the packaged reranker.

    Args:
        data: The folder with ``scifact``, ``fairytaleqa`` and ``training``.
        output: Where mined sources, checkpoints and the model's folder go; what is there already is used.
        learning: How to learn.
        groups: How to draw.
        recipes: The sources.
        start: An earlier reranker's folder to go on from; None: the base model with a fresh head.
        device: Where it runs, as in ``[execution].device``.

    Returns:
        The model's folder.
    """
    for recipe in recipes:
        mine_source(recipe, data, output, device=device)
    weights = train_on_sources(recipes, output, learning=learning, groups=groups, start=start, device=device)
    return export_reranker(
        recipes, output, weights=weights, learning=learning, groups=groups, start=start, device=device
    )


@app.default
def main(
    *,
    data: Path,
    output: Path,
    start: Path | None = None,
    steps: int | None = None,
    decay_steps: int | None = None,
    device: str = "auto",
) -> None:
    """Train the packaged reranker.

    Args:
        data: The folder with the collections.
        output: Where everything is written.
        start: Folder of an earlier reranker to go on from; default: a fresh head on the base model.
        steps: Updates in all; default: as the shipped model.
        decay_steps: The last of them, with a falling learning rate; default: a quarter, or as the shipped model.
        device: auto, cpu, mps, cuda or cuda:N.
    """
    learning = LEARNING
    if steps is not None:
        update = {"steps": steps, "decay_steps": decay_steps or max(steps // 4, 1)}
        learning = LearningSettings.model_validate({**learning.model_dump(), **update})
    make_packaged_reranker(data, output, learning=learning, start=start, device=device)


if __name__ == "__main__":
    app()
