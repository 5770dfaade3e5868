"""The stages of training a reranker, as Prefect tasks: they hand on folders, never tensors."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from storage.keys import sha256_of_file
from tasks.delta_weights import save_delta
from tasks.embedder import Embedder, plan_embedder
from tasks.pretrained_reranker import (
    BASE_PACKAGE,
    CARD_FILE,
    DELTA_FILE,
    RerankerCard,
    base_folder,
    base_parameters,
    load_reranker,
)
from tasks.reranker_training import Progress, TrainingSettings, train
from tasks.reranker_validation import WEIGHTS, choose_weight, score_validation, weighted_ndcg
from tasks.settings import EmbedderSettings, ExecutionSettings
from tasks.training_groups import GroupSampler, GroupSettings
from tasks.training_sources import Recipe, prepare_source, read_mined, read_validation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tasks.training_sources import ValidationQuery

NAME = "nightrank-minilm"
AVERAGED = "averaged.safetensors"
REPORT_EVERY = 25  # steps
SPLIT_SEED = 7
MAX_LENGTH = 192  # tokens of a pair when the model is used
COMMAND = "python -m flows.train_reranker --data DIR --output DIR"


@task(name="mine source", cache_policy=NO_CACHE)
def mine_source(recipe: Recipe, data: Path, output: Path) -> Path:
    """The folder of a prepared source; made only where it is not there yet."""
    folder = output / "sources" / recipe.name
    if folder.is_dir():
        return folder
    staging = folder.with_name(f".{recipe.name}.writing")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    execution = ExecutionSettings()
    plan = plan_embedder(EmbedderSettings(), execution, base=data)
    embedder = Embedder(plan, batch_tokens=execution.batch_tokens)
    prepare_source(recipe, data, staging, embed=embedder.embed_passages, seed=SPLIT_SEED)
    staging.rename(folder)
    return folder


@task(name="train", cache_policy=NO_CACHE)
def train_on_sources(
    recipes: Sequence[Recipe], output: Path, *, training: TrainingSettings, groups: GroupSettings
) -> Path:
    """The file of the trained weights; training goes on from the last checkpoint."""
    from safetensors.torch import save_file

    logger = get_run_logger()
    sources = {recipe.name: read_mined(output / "sources" / recipe.name, recipe) for recipe in recipes}

    def report(progress: Progress) -> None:
        if progress.step % REPORT_EVERY == 0:
            logger.info(
                "step %d of %d, %d pairs, %.0f s, loss %.3f",
                *(progress.step, training.steps, progress.pairs, progress.seconds, progress.loss),
            )

    averaged = train(GroupSampler(sources, groups), training, base=base_folder(), folder=output, report=report)
    save_file(averaged, output / AVERAGED)
    return output / AVERAGED


@task(name="export reranker", cache_policy=NO_CACHE)
def export_reranker(
    recipes: Sequence[Recipe],
    output: Path,
    *,
    weights: Path,
    training: TrainingSettings,
    groups: GroupSettings,
    max_length: int = MAX_LENGTH,
) -> Path:
    """The model's folder: the delta, and a card with the weight that held-out queries chose."""
    from safetensors.torch import load_file

    folder = output / NAME
    folder.mkdir(exist_ok=True)
    base = base_folder()
    save_delta(folder / DELTA_FILE, base_parameters(base), load_file(weights))
    card = RerankerCard(
        name=NAME,
        base_package=BASE_PACKAGE,
        base_sha256=sha256_of_file(base / "model.safetensors"),
        delta_sha256=sha256_of_file(folder / DELTA_FILE),
        max_length=max_length,
        weight=1.0,
        data=[{"source": recipe.name, "path": recipe.path, "licence": recipe.licence} for recipe in recipes],
        training={"training": training.model_dump(mode="json"), "groups": groups.model_dump(mode="json")}
        | {"shares": {recipe.name: recipe.share for recipe in recipes}, "split_seed": SPLIT_SEED},
        figures={},
        command=COMMAND,
        remarks=[],
    )
    _write_card(folder, card)  # the folder must be whole to be loaded; the weight is measured with what ships
    figures = _validation_figures(recipes, folder, output)
    weight = choose_weight(figures)
    shown = {
        name: {f"{value:g}": round(values[value], 4) for value in sorted({0.0, 0.5, 1.0, weight})}
        for name, values in figures.items()
    }
    _write_card(folder, card.model_copy(update={"weight": weight, "figures": {"validation nDCG@10 by weight": shown}}))
    return folder


def _validation_figures(recipes: Sequence[Recipe], folder: Path, output: Path) -> dict[str, dict[float, float]]:
    model = load_reranker(folder)
    figures: dict[str, dict[float, float]] = {}
    for recipe in recipes:
        queries: list[ValidationQuery] = read_validation(output / "sources" / recipe.name)
        if queries:
            scores = score_validation(model, queries)
            figures[recipe.name] = {w: weighted_ndcg(queries, scores, weight=w) for w in WEIGHTS}
    return figures


def _write_card(folder: Path, card: RerankerCard) -> None:
    temporary = folder / f"{CARD_FILE}.writing"
    temporary.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / CARD_FILE)
