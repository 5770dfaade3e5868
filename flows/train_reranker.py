"""Training the packaged reranker again, from the data to the folder that ships, with one command.

    python -m flows.train_reranker --data DIR --output DIR [--steps N]

It mines, trains (hours on two cores; an interrupted run goes on from its last checkpoint), chooses the weight on
held-out queries, and writes the model's folder into the output folder. Runs with the same seeds draw the same
groups; their weights are alike, not equal to the last bit, because threads add in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclopts import App
from prefect import flow

from tasks.reranker_stages import export_reranker, mine_source, train_on_sources
from tasks.reranker_training import TrainingSettings
from tasks.training_groups import GroupSettings
from tasks.training_sources import RECIPES, Recipe

app = App(name="flows.train_reranker", help="Train nightrank-minilm.")


@flow(name="train reranker", validate_parameters=False)
def train_reranker(
    data: Path,
    output: Path,
    *,
    training: TrainingSettings,
    groups: GroupSettings,
    recipes: Sequence[Recipe] = RECIPES,
) -> Path:
    """Make the packaged reranker.

    Args:
        data: The folder with ``scifact``, ``fairytaleqa`` and ``training``.
        output: Where mined sources, checkpoints and the model's folder go; what is there already is used.
        training: How to learn.
        groups: How to draw.
        recipes: The sources.

    Returns:
        The model's folder.
    """
    for recipe in recipes:
        mine_source(recipe, data, output)
    weights = train_on_sources(recipes, output, training=training, groups=groups)
    return export_reranker(recipes, output, weights=weights, training=training, groups=groups)


@app.default
def main(*, data: Path, output: Path, steps: int | None = None, decay_steps: int | None = None) -> None:
    """Train the packaged reranker.

    Args:
        data: The folder with the collections.
        output: Where everything is written.
        steps: Updates in all; default: as the shipped model.
        decay_steps: The last of them, with a falling learning rate; default: a quarter, or as the shipped model.
    """
    training = TrainingSettings()
    if steps is not None:
        training = TrainingSettings(steps=steps, decay_steps=decay_steps or max(steps // 4, 1))
    elif decay_steps is not None:
        training = training.model_copy(update={"decay_steps": decay_steps})
    train_reranker(data, output, training=training, groups=GroupSettings())


if __name__ == "__main__":
    app()
