"""What is `nightrank train embedder` worth? FairytaleQA's train split, measured on its test split, SciFact beside it.

    python -m benchmarks.training --data FOLDER --work FOLDER

A release of FairytaleQA is made with the packaged model, and the model is trained on the judged queries of the train
split with this release's candidates as negatives. Both are measured on the test split by releases of their own: the
dense leg over the whole collection. The regression set is SciFact's test split, of which nothing is learnt.

About 40 minutes on two quiet cores. A run that was stopped goes on behind what it had done; a model that was trained
with the same options on the same data is taken, not trained again.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import run_night, write_settings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.evaluate.significance import compare_evaluations
from nightrank.tasks.models.card import CARD, MEASURES, figures_of, read_training_card
from nightrank.tasks.train.embedder.options import EmbedderTraining
from nightrank.tasks.train.settings import PairSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from nightrank.flows.train.embedder import EmbedderRequest
    from nightrank.tasks.models.card import Figure

LEARNT, REGRESSION_SET = "fairytaleqa", "scifact"
GOAL = 0.42  # nDCG@10 of the dense leg on the test split


@dataclass(frozen=True, slots=True)
class Row:
    """A measure of a stage on a collection, before and after a training.

    Attributes:
        queries: Measured ones.
        low: Lower end of the 95% interval of the difference.
        high: Its upper end.
        p_value: Of the paired randomisation test.
        goal: What is expected, in words; empty for nothing.
        passed: Whether it came out so.
    """

    collection: str
    stage: str
    measure: str
    queries: int
    before: float
    after: float
    low: float
    high: float
    p_value: float
    goal: str = ""
    passed: bool = True


def main() -> None:
    """Print the table; the exit code is 1 where a goal is missed."""
    options = _arguments()
    rows = embedder_rows(options)
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    else:
        Console(width=120).print(table_of(rows))
    raise SystemExit(not all(row.passed for row in rows))


def embedder_rows(options: argparse.Namespace) -> list[Row]:
    """Train the dual encoder, and measure it on the test split and on the regression set."""
    data, work = options.data / LEARNT, options.work / "training"
    before = _night(data, work / "before", precision=options.precision, model=None)
    model = _trained(work / "before" / "training.toml", _request(options))
    after = _night(data, work / "after", precision=options.precision, model=model)
    figures = figures_of(compare_evaluations(before, after, generator=np.random.default_rng(0)))
    decisive, *others = (figure for figure in figures if figure.measure in MEASURES)
    regression = read_training_card(model).regression_set
    assert regression is not None  # it was asked for
    return [
        _row(LEARNT, decisive, goal=f"{GOAL:g} or more", passed=decisive.after >= GOAL),
        *(_row(LEARNT, figure) for figure in others),
        _row(
            REGRESSION_SET,
            regression.figure,
            goal=f"at most {regression.allowed_loss:g} lost",
            passed=not regression.refuses,
        ),
    ]


def table_of(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    table = Table("collection", "stage", "measure", "queries", "before", "after", "95% of the difference", "p", "goal")
    for row in rows:
        verdict = f"{row.goal} {'ok' if row.passed else 'MISSED'}" if row.goal else ""
        table.add_row(
            *(row.collection, row.stage, row.measure, str(row.queries), f"{row.before:.4f}", f"{row.after:.4f}"),
            *(f"{row.low:+.4f} to {row.high:+.4f}", f"{row.p_value:.4f}", verdict),
        )
    return table


def _night(data: Path, work: Path, *, precision: str, model: Path | None) -> pa.Table:
    """The dense leg of every test query of a release with a model, None for the packaged one; schema EVALUATION."""
    embedder = {"precision": precision} | ({} if model is None else {"model": str(model.resolve())})
    sections = {"embedder": embedder, "reranker": {"model": "none"}}
    settings_file = write_settings(data, work, "training", split="test", sections=sections)
    run_night(settings_file)
    workspace = FolderWorkspace(work / "workspace")
    evaluation = ReleaseFiles(workspace.release(workspace.require_current())).evaluation.read()
    stages = evaluation.column("stage").to_numpy(zero_copy_only=False)
    return evaluation.filter(np.equal(stages, "dense"))


def _request(options: argparse.Namespace) -> EmbedderRequest:
    from nightrank.flows.train.embedder import EmbedderRequest

    learnt = options.data / LEARNT
    chosen = ("steps", "epochs", "batch", "negatives", "learning_rate", "max_tokens", "base_share", "seed")
    return EmbedderRequest(
        pairs=PairSettings(qrels=learnt / "qrels" / "train.tsv", queries=learnt / "queries.jsonl", seed=options.seed),
        training=EmbedderTraining(
            **{name: value for name in chosen if (value := getattr(options, name)) is not None},
        ),
        regression_set=options.data / REGRESSION_SET,
    )


def _trained(settings_file: Path, request: EmbedderRequest) -> Path:
    """The folder of the model that the request gives; trained where it is not there yet."""
    from nightrank.flows.settings_file import load_settings
    from nightrank.flows.train.embedder import train_embedder
    from nightrank.flows.train.shared import training_key

    configuration = load_settings(settings_file)
    key = training_key(configuration, "embedder", request.pairs, request.training)
    for path in sorted(configuration.workspace.models.glob(f"embedder-*/{CARD}")):
        card = read_training_card(path.parent)
        checked_on = None if card.regression_set is None else card.regression_set.name
        if (card.key, checked_on) == (key, str(request.regression_set)):
            return path.parent
    return train_embedder(str(settings_file), request).folder


def _row(collection: str, figure: Figure, *, goal: str = "", passed: bool = True) -> Row:
    names = ("stage", "measure", "queries", "before", "after", "low", "high", "p_value")
    return Row(collection, **{name: getattr(figure, name) for name in names}, goal=goal, passed=passed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of BEIR folders")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="kept between runs")
    parser.add_argument("--precision", default="auto", help="of the models, as in the settings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for name, kind in (("steps", int), ("epochs", float), ("batch", int), ("negatives", int)):
        parser.add_argument(f"--{name}", type=kind, help="as of `nightrank train embedder`")
    parser.add_argument("--learning-rate", type=float, help="likewise")
    parser.add_argument("--max-tokens", type=int, help="likewise")
    parser.add_argument("--base-share", type=float, help="likewise")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"There is no folder {options.data}; name one of BEIR folders with --data.")
    return options


if __name__ == "__main__":
    main()
