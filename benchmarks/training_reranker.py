"""What is `nightrank train reranker` worth? Train splits of FairytaleQA and SciFact, measured on their test splits.

    python -m benchmarks.training_reranker --data FOLDER --work FOLDER [--collection NAME ...]

A release of the test split's judged queries, of 300 at most (--limit), is made with the packaged reranker, which is
then trained on the judged queries of the train split with this release's candidates as negatives; a second release is
made with what came out. Its figures are the whole pipeline's: fused candidates, reranked, weighed. With --embedder all
of it stands on a dual encoder that was trained before, as `benchmarks.training` leaves one in its workspace's models.

About 40 minutes a collection on two quiet cores. A run that was stopped goes on behind what it had done; a model that
was trained with the same options on the same data is taken, not trained again.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from rich.console import Console

from benchmarks.inputs.beir_folders import parsed, parser, run_night, write_settings
from benchmarks.training import Row, table_of
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.models.card import CARD, figures_of, read_training_card
from nightrank.tasks.train.reranker.options import RerankerTraining
from nightrank.tasks.train.settings import PairSettings

if TYPE_CHECKING:
    import argparse

    from nightrank.flows.train.reranker import RerankerRequest
    from nightrank.tasks.models.card import Figure

COLLECTIONS = ("fairytaleqa", "scifact")
MEASURE = "nDCG@10"
DEPTH = 50
LEAST = {"fairytaleqa": 0.68}  # of the weighted order
LEAST_GAIN = {"scifact": 0.01}  # of the weighted order over the fused one
OPTIONS = (
    *(("steps", int), ("epochs", float), ("queries", int), ("negatives", int), ("learning-rate", float)),
    *(("max-tokens", int), ("label-share", float)),
)


def main() -> None:
    """Print the table; the exit code is 1 where a goal is missed."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", choices=COLLECTIONS, nargs="+", default=list(COLLECTIONS))
    command.add_argument("--limit", type=int, default=300, help="judged test queries at most")
    for name, kind in OPTIONS:
        command.add_argument(f"--{name}", type=kind, help="as of `nightrank train reranker`, queries: its --batch")
    command.add_argument("--embedder", type=Path, help="folder of a trained dual encoder in place of the packaged one")
    command.add_argument("--seed", type=int, default=0)
    options = parsed(command)
    rows = [row for name in options.collection for row in reranker_rows(name, options)]
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    else:
        Console(width=120).print(table_of(rows))
    raise SystemExit(not all(row.passed for row in rows))


def reranker_rows(name: str, options: argparse.Namespace) -> list[Row]:
    """Train a reranker on a collection's train split, and measure it on the test split."""
    before = _night(name, options, model=None)
    model = _trained(_folder(name, options) / "training.toml", _request(name, options))
    after = _night(name, options, model=model)
    generator = np.random.default_rng(0)
    figures = {figure.stage: figure for figure in _figures(before, after, generator=generator)}
    over_fused = _figures(_called(after, "fused"), _called(after, "reranked"), generator=generator)[0]
    least, least_gain = LEAST.get(name), LEAST_GAIN.get(name)
    goal = "" if least is None else f"{least:g} or more"
    gain_goal = "" if least_gain is None else f"+{least_gain:g} or more"
    return [
        _row(name, figures["reranked"], "weighted", goal=goal, passed=figures["reranked"].after >= (least or 0.0)),
        _row(name, figures["reranker"], "reranker alone"),
        _row(
            name,
            over_fused,
            "weighted, before: fused",
            goal=gain_goal,
            passed=least_gain is None or over_fused.difference >= least_gain,
        ),
    ]


def _folder(name: str, options: argparse.Namespace) -> Path:
    folder: Path = options.work / "training_reranker" / name
    return folder


def _night(name: str, options: argparse.Namespace, *, model: Path | None) -> pa.Table:
    """Every stage of a release with a reranker, None for the packaged one; schema EVALUATION, one measure."""
    embedder, reranker = {"precision": options.precision}, {"depth": DEPTH, "precision": options.precision}
    sections = {
        "embedder": embedder if options.embedder is None else {**embedder, "model": str(options.embedder.resolve())},
        "reranker": reranker if model is None else {**reranker, "model": str(model.resolve())},
    }
    work = _folder(name, options)
    called = "training" if model is None else "trained"
    settings_file = write_settings(
        options.data / name, work, called, split="test", query_limit=options.limit, sections=sections
    )
    run_night(settings_file)
    workspace = FolderWorkspace(work / "workspace")
    evaluation = ReleaseFiles(workspace.release(workspace.require_current())).evaluation.read()
    return evaluation.filter(np.equal(evaluation.column("measure").to_numpy(zero_copy_only=False), MEASURE))


def _request(name: str, options: argparse.Namespace) -> RerankerRequest:
    from nightrank.flows.train.reranker import RerankerRequest

    learnt = options.data / name
    asked = {option.replace("-", "_"): getattr(options, option.replace("-", "_")) for option, _ in OPTIONS}
    return RerankerRequest(
        pairs=PairSettings(qrels=learnt / "qrels" / "train.tsv", queries=learnt / "queries.jsonl", seed=options.seed),
        training=RerankerTraining.model_validate(
            {name: value for name, value in asked.items() if value is not None} | {"seed": options.seed}
        ),
    )


def _trained(settings_file: Path, request: RerankerRequest) -> Path:
    """The folder of the model that the request gives; trained where it is not there yet."""
    from nightrank.flows.settings_file import load_settings
    from nightrank.flows.train.reranker import train_reranker
    from nightrank.flows.train.shared import training_key

    configuration = load_settings(settings_file)
    key = training_key(configuration, "reranker", request.pairs, request.training)
    for path in sorted(configuration.workspace.models.glob(f"reranker-*/{CARD}")):
        card = read_training_card(path.parent)
        if card.key == key:
            return path.parent
    return train_reranker(str(settings_file), request).folder


def _figures(before: pa.Table, after: pa.Table, *, generator: np.random.Generator) -> list[Figure]:
    return figures_of(compare_evaluations(before, after, generator=generator))


def _called(evaluation: pa.Table, stage: str) -> pa.Table:
    """One stage of an evaluation, under a name that two stages can share."""
    rows = [row | {"stage": "order"} for row in evaluation.to_pylist() if row["stage"] == stage]
    return pa.Table.from_pylist(rows, schema=evaluation.schema)


def _row(collection: str, figure: Figure, stage: str, *, goal: str = "", passed: bool = True) -> Row:
    names = ("measure", "queries", "before", "after", "low", "high", "p_value")
    return Row(collection, stage, **{name: getattr(figure, name) for name in names}, goal=goal, passed=passed)


if __name__ == "__main__":
    main()
