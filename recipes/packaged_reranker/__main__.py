"""Making the packaged reranker again, from the data to the folder that ships, with one command.

    python -m recipes.packaged_reranker --data DIR --output DIR [--start FOLDER] [--pairs N] [--device cuda --large]

It mines, trains (hours on one core; an interrupted run goes on from its last checkpoint, and a finished one with more
pairs), measures on what it never learnt from, and writes the model's folder into the output folder. Without ``--data``
it trains on what is mined in the output folder: mine on one machine, and train on another one with a GPU.

Runs with the same seeds draw the same groups; their weights are alike, not equal to the last bit, because threads add
in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cyclopts import App
from prefect import flow

from nightrank.flows import demo
from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import LearningSettings
from recipes.packaged_reranker.recipe import (
    EVALUATION,
    GROUPS,
    LARGE_GROUPS,
    LARGE_LEARNING,
    LEARNING,
    SOURCES,
    Source,
)
from recipes.packaged_reranker.stages import export_reranker, mine_sources, train_on_sources

app = App(name="recipes.packaged_reranker", help="Train nightrank-minilm.")

LEAST_STEPS = 4


@flow(name="packaged reranker", validate_parameters=False)
def make_packaged_reranker(
    data: Path | None,
    output: Path,
    *,
    learning: LearningSettings = LEARNING,
    groups: GroupSettings = GROUPS,
    sources: Sequence[Source] = SOURCES,
    evaluated: Sequence[Path] = (),
    start: Path | None = None,
    sparse: str = "splade-tiny",
    device: str = "auto",
) -> Path:
    """Make the packaged reranker.

    Args:
        data: The folder that the sources' paths are relative to; None: they are all mined already.
        output: Where mined sources, checkpoints and the model's folder go; what is there already is used.
        learning: How to learn.
        groups: How to draw.
        sources: What to learn from and to measure on.
        evaluated: Folders in BEIR layout that nothing may be learnt from.
        start: An earlier reranker's folder, or a model's, to go on from; None: the base model with a fresh head.
        sparse: The sparse encoder: a packaged name, a folder or a hub id.
        device: Where it runs, as in ``[execution].device``.

    Returns:
        The model's folder.
    """
    if data is not None:
        mine_sources(sources, data, output, evaluated=evaluated, sparse=sparse, device=device)
    trained = train_on_sources(sources, output, learning=learning, groups=groups, start=start, device=device)
    return export_reranker(
        sources, output, trained=trained, learning=learning, groups=groups, start=start, device=device
    )


def scheduled(learning: LearningSettings, groups: GroupSettings, pairs: int | None) -> LearningSettings:
    """The learning over so many pairs; None: as it is.

    >>> made = scheduled(LEARNING, GROUPS, 600_000)
    >>> made.steps, made.decay_steps
    (9375, 1000)
    """
    if pairs is None:
        return learning
    steps = max(LEAST_STEPS, -(-pairs // (groups.groups * groups.size)))
    update = {"steps": steps, "decay_steps": min(learning.decay_steps, steps // 2)}
    return LearningSettings.model_validate({**learning.model_dump(), **update})


@app.default
def main(
    *,
    data: Path | None = None,
    output: Path,
    start: Path | None = None,
    pairs: int | None = None,
    large: bool = False,
    sparse: str = "splade-tiny",
    device: str = "auto",
) -> None:
    """Train the packaged reranker.

    Args:
        data: The folder with the collections; default: what is mined in the output folder is used.
        output: Where everything is written.
        start: Folder of an earlier reranker, or of a model, to go on from; default: a fresh head on the base model.
        pairs: Scored in all; default: 640,000, or 4,096,000 in large steps.
        sparse: The teacher's sparse encoder: a packaged name (which needs the extra ``sparse``), a folder or a hub id.
        large: Steps of 128 queries instead of 8, for a large GPU.
        device: auto, cpu, mps, cuda or cuda:N.
    """
    learning, groups = (LARGE_LEARNING, LARGE_GROUPS) if large else (LEARNING, GROUPS)
    evaluated = [] if data is None else [*(data / name for name in EVALUATION), Path(demo.__file__).parent]
    make_packaged_reranker(
        data,
        output,
        learning=scheduled(learning, groups, pairs),
        groups=groups,
        evaluated=evaluated,
        start=start,
        sparse=sparse,
        device=device,
    )


if __name__ == "__main__":
    app()
