"""The stages of making the packaged reranker, as Prefect tasks: they hand on folders, never tensors."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect import get_run_logger

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import publish_folder, write_text
from nightrank.storage.keys import sha256_of_file
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.models.delta import save_delta
from nightrank.tasks.models.files import resolve_device
from nightrank.tasks.rerank.packaged import (
    BASE_PACKAGE,
    CARD_FILE,
    DELTA_FILE,
    RerankerCard,
    base_folder,
    base_parameters,
    load_reranker,
    read_card,
)
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.train.reranker.base import load_base
from nightrank.tasks.train.reranker.groups import GroupSampler, GroupSettings, MinedSource
from nightrank.tasks.train.reranker.learn import CHECKPOINT, LearningSettings, Progress, train
from nightrank.tasks.train.reranker.stages import score_held_out
from nightrank.tasks.train.reranker.validate import WEIGHTS, by_weight, choose_weight, fused_ndcg
from nightrank.tasks.train.sets import read_training_set
from recipes.packaged_reranker.collections import prepare_source
from recipes.packaged_reranker.recipe import DEPTH, MAX_LENGTH, NAME, SPLIT_SEED, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MADE_OF = "made_of.json"  # beside each source, and beside the checkpoint
NOT_DECISIVE = {"steps", "decay_steps", "threads", "checkpoint_seconds"}  # a training may go on to more steps
AVERAGED = "averaged.safetensors"
REPORT_EVERY = 25  # steps
COMMAND = "python -m recipes.packaged_reranker --data DIR --output DIR"


@stage_task("mine source")
def mine_source(recipe: Recipe, data: Path, output: Path, *, device: str = "auto") -> Path:
    """The folder of a prepared source, a training set; made only where it is not there yet.

    Raises:
        InputError: It is there, made of another recipe, data, seed or encoder.
    """
    folder = output / "sources" / recipe.name
    execution = ExecutionSettings.model_validate({"device": device})
    plan = plan_embedder(EmbedderSettings(), execution, base=data)
    made_of = {
        **recipe.mined(),
        "data": digests_of(data / recipe.path),
        "seed": SPLIT_SEED,
        "encoder": plan.fingerprint,
    }
    if folder.is_dir():
        require_made_of(made_of, folder / MADE_OF)
        return folder
    staging = folder.with_name(f".{recipe.name}.writing")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    embedder = Embedder(plan, batch_tokens=execution.batch_tokens)
    prepare_source(recipe, data, staging, embed=embedder.embed_passages, seed=SPLIT_SEED)
    write_json(staging / MADE_OF, made_of)
    publish_folder(staging, folder)
    return folder


@stage_task("train")
def train_on_sources(
    recipes: Sequence[Recipe],
    output: Path,
    *,
    learning: LearningSettings,
    groups: GroupSettings,
    start: Path | None,
    device: str = "auto",
) -> Path:
    """The file of the trained weights; training goes on from the last checkpoint.

    Raises:
        InputError: What was begun here learns otherwise, or from something else.
    """
    from safetensors.torch import save_file

    made_of = {
        "learning": learning.model_dump(mode="json", exclude=NOT_DECISIVE),
        "groups": groups.model_dump(mode="json"),
        "start": None if start is None else read_card(start).delta_sha256,
        "sources": {
            recipe.name: [recipe.share, sha256_of_file(output / "sources" / recipe.name / MADE_OF)]
            for recipe in recipes
        },
    }
    if (output / MADE_OF).exists() or (output / CHECKPOINT).exists():
        require_made_of(made_of, output / MADE_OF)
    write_json(output / MADE_OF, made_of)
    logger = get_run_logger()
    sources = {
        recipe.name: MinedSource.of(read_training_set(output / "sources" / recipe.name), share=recipe.share)
        for recipe in recipes
    }

    def report(progress: Progress) -> None:
        if progress.step % REPORT_EVERY == 0:
            logger.info(
                "step %d of %d, %d pairs, %.0f s, loss %.3f",
                *(progress.step, learning.steps, progress.pairs, progress.seconds, progress.loss),
            )

    encoder = load_base(
        base_folder() if start is None else start,
        max_length=max(groups.max_lengths),
        device=resolve_device(device),
        seed=learning.seed,
    )
    sampler = GroupSampler(sources, groups)
    for name, left_out in sampler.left_out.items():
        logger.info("%s: %d queries are left out, with too few passages that are no answer", name, left_out)
    learnt = train(encoder, sampler, learning, folder=output, report=report)
    save_file(learnt.parameters, output / AVERAGED)
    return output / AVERAGED


@stage_task("export reranker")
def export_reranker(
    recipes: Sequence[Recipe],
    output: Path,
    *,
    weights: Path,
    learning: LearningSettings,
    groups: GroupSettings,
    start: Path | None,
    device: str = "auto",
) -> Path:
    """The model's folder: the delta, and a card with the weight that held-out queries chose."""
    from safetensors.torch import load_file

    folder = output / f".{NAME}.writing"  # until its weight is known, nobody is to use it
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    base = base_folder()
    save_delta(folder / DELTA_FILE, base_parameters(base), load_file(weights))
    settings = {"learning": learning.model_dump(mode="json"), "groups": groups.model_dump(mode="json")}
    shares = {recipe.name: recipe.share for recipe in recipes}
    earlier: dict[str, Any] = {}
    if start is not None:
        card = read_card(start)
        earlier = {"started from": {"delta_sha256": card.delta_sha256, "training": card.training}}
    card = RerankerCard(
        name=NAME,
        base_package=BASE_PACKAGE,
        base_sha256=sha256_of_file(base / "model.safetensors"),
        delta_sha256=sha256_of_file(folder / DELTA_FILE),
        max_length=MAX_LENGTH,
        weight=1.0,
        data=[{"source": recipe.name, "path": recipe.path, "licence": recipe.licence} for recipe in recipes],
        training={**settings, "shares": shares, "split_seed": SPLIT_SEED, **earlier},
        figures={},
        command=COMMAND if start is None else f"{COMMAND} --start EARLIER",
        remarks=[],
    )
    _write_card(folder, card)  # the folder must be whole to be loaded; the weight is measured with what ships
    weight, figures = validation_figures(recipes, folder, output, device=resolve_device(device))
    card = card.model_copy(update={"weight": weight, "figures": {"validation nDCG@10, fused top 50": figures}})
    _write_card(folder, card)
    shutil.rmtree(output / NAME, ignore_errors=True)
    publish_folder(folder, output / NAME)
    return output / NAME


def validation_figures(
    recipes: Sequence[Recipe], folder: Path, output: Path, *, device: str
) -> tuple[float, dict[str, dict[str, float]]]:
    """The weight that suits the held-out queries of all sources, and nDCG@10 of the fused order and of some weights."""
    model = load_reranker(folder, device=device)

    def score(queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        pairs = list(zip(queries, texts, strict=True))
        scores = model.predict(pairs, batch_size=32, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(scores, dtype=np.float32)

    measured: dict[str, dict[float, float]] = {}
    fused: dict[str, float] = {}
    for recipe in recipes:
        training_set = read_training_set(output / "sources" / recipe.name)
        queries = training_set.held_out
        if queries:
            scores = score_held_out(score, queries, training_set, depth=DEPTH)
            values = by_weight(queries, training_set.passages, scores, weights=WEIGHTS)
            measured[recipe.name] = {one: float(found.mean()) for one, found in values.items() if one is not None}
            fused[recipe.name] = float(fused_ndcg(queries, training_set.passages, depth=DEPTH).mean())
    weight = choose_weight(measured, fused)
    shown = sorted({0.0, 0.5, 1.0, weight})
    return weight, {
        name: {"fused": round(fused[name], 4)} | {f"{one:g}": round(values[one], 4) for one in shown}
        for name, values in measured.items()
    }


def digests_of(path: Path) -> dict[str, str]:
    """The digests of a file of pairs, or of the files of a folder in BEIR layout, by name."""
    if path.is_file():
        return {path.name: sha256_of_file(path)}
    files = [*path.glob("*.jsonl"), *path.glob("qrels/*.tsv")]
    return {str(file.relative_to(path)): sha256_of_file(file) for file in sorted(files)}


def require_made_of(expected: Mapping[str, object], record: Path) -> None:
    """See whether something was made of what it would be made of now.

    Args:
        expected: What it would be made of.
        record: Says what it was made of.

    Raises:
        InputError: It was made of something else, or the record is not there.
    """
    try:
        found = json.loads(record.read_bytes())
    except (OSError, ValueError):
        found = {}
    differing = sorted(name for name, value in expected.items() if found.get(name) != value)
    if differing:
        message = f"What is in {record.parent} was made with another {', another '.join(differing)}."
        message = message if found else f"What is in {record.parent} does not say what it was made of."
        raise InputError(message, remedy="Remove it, or give another --output.")


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write values as JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def _write_card(folder: Path, card: RerankerCard) -> None:
    write_text(folder / CARD_FILE, card.model_dump_json(indent=2) + "\n")
