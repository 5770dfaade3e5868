"""What tuning is worth on queries that nobody tuned on: fitted on the train split, measured on the test split.

Collections in BEIR layout under ``--data`` that have both splits; a night with default settings over queries of both,
``nightrank tune --write`` on the judgments of train, and nDCG@10 on test before and after, with a 95% interval. Where
nothing is proved, and so nothing written, it also tells what the choice would have been worth:

    python -m benchmarks.tuned_order --data FOLDER [--collection NAME ...] [--train N] [--limit N] [--depth N]
        [--fields]
"""

from __future__ import annotations

import csv
import json
import random
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import parsed, parser
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.settings_files import LOOSE_GATES, write_settings_file
from nightrank.flows.settings_file import load_settings
from nightrank.flows.tune.flow import tune
from nightrank.storage.files.atomic import write_text
from nightrank.tasks.evaluate.significance import compare_paired
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.rank.order_file import order_file
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.tasks.evaluate.significance import Comparison
    from nightrank.tasks.settings.whole import Settings

COLLECTIONS = ("scifact", "fairytaleqa")
MEASURE = "nDCG@10"


@dataclass(frozen=True, slots=True)
class Row:
    """A collection.

    Attributes:
        chosen: What train chose, as settings.
        proved: Whether it was proved on train, and written.
        held_out: On train, each query by what other folds of it chose.
        test: On test.
        seconds: That tuning took.
    """

    collection: str
    chosen: dict[str, str]
    proved: bool
    held_out: Comparison
    test: Comparison
    seconds: float


def settings_of(name: str, options: argparse.Namespace) -> Path:
    """The settings file of a collection with a log of both splits; judgments are train's, those of test lie beside."""
    data, work = options.data / name, options.work / name
    work.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, set[str]] = {}
    for split, most in (("test", options.limit), ("train", options.train)):
        with (data / "qrels" / f"{split}.tsv").open(newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))[1:]
        judged = sorted({row[0] for row in rows} - chosen.get("test", set()))
        chosen[split] = set(random.Random(0).sample(judged, min(most, len(judged))))
        kept = "".join("\t".join(row) + "\n" for row in rows if row[0] in chosen[split])
        write_text(work / f"tuned_order.{split}.tsv", "query-id\tcorpus-id\tscore\n" + kept)
    asked = chosen["test"] | chosen["train"]
    with (data / "queries.jsonl").open() as source:
        log = "".join(line for line in source if json.loads(line)["_id"] in asked)
    write_text(work / "tuned_order.queries.jsonl", log)
    return write_settings_file(
        work / "tuned_order.toml",
        {
            "documents": {"source": str((data / "corpus.jsonl").resolve())},
            "queries": {"log": "tuned_order.queries.jsonl", "budget": 1_000_000},
            "judgments": {"qrels": "tuned_order.train.tsv"},
            "gates": LOOSE_GATES,
            "reranker": {"depth": options.depth, "precision": options.precision},
            "evaluation": {"timed_queries": "none"},
        },
    )


def row_of(name: str, options: argparse.Namespace) -> Row:
    """Tune a collection on train and measure it on test."""
    path = settings_of(name, options)
    refresh_plainly(path)
    before = load_settings(path).settings
    start = time.perf_counter()
    tuning = tune.fn(str(path), fields=options.fields, write=True)
    seconds, tuned = time.perf_counter() - start, tuning.tuned
    if tuned.order is not None and tuning.written is None:
        write_text(path.parent / tuned.order.file_name, order_file(tuned.order.model, {}))
    values = test_values(path, [before, varied(before, tuned.changes)])
    return Row(
        collection=name,
        chosen={key: str(value) for key, value in tuned.changes.items()},
        proved=tuned.recommended,
        held_out=tuned.gain,
        test=compare_paired(*values, generator=np.random.default_rng(0)),
        seconds=seconds,
    )


def test_values(path: Path, variants: list[Settings]) -> list[NDArray[np.float64]]:
    """The nDCG@10 of some settings on the queries of test: float64 (n_queries,) each."""
    configuration = load_settings(path, anew=True)
    qrels = path.parent / "tuned_order.test.tsv"
    judgments = read_judgments(qrels, name=qrels.name, account=Account())
    with Experiment.open(
        configuration.workspace,
        variants[0],
        judgments,
        base=configuration.base,
        now=datetime.now(UTC),
        measures=[MEASURE],
    ) as experiment:
        outcomes = [experiment.evaluate(variant) for variant in variants]
    rows = [
        {row["query_id"]: row["value"] for row in outcome.evaluation.to_pylist() if row["stage"] == "results"}
        for outcome in outcomes
    ]
    return [np.array([row[query_id] for query_id in sorted(rows[0])]) for row in rows]


def table_of(rows: list[Row]) -> Table:
    """The rows for people."""
    table = Table(MEASURE, "chosen", "proved", "train, held out", "test before", "after", "change", "seconds")
    for row in rows:
        held_out, test = row.held_out, row.test
        table.add_row(
            row.collection,
            ", ".join(f"{key} = {value}" for key, value in row.chosen.items()) or "nothing",
            "yes" if row.proved else "no",
            f"{held_out.difference:+.4f} ({held_out.low:+.3f} to {held_out.high:+.3f})",
            f"{test.before:.4f}",
            f"{test.after:.4f}",
            f"{test.difference:+.4f} ({test.low:+.3f} to {test.high:+.3f})",
            f"{row.seconds:.0f}",
        )
    return table


def main() -> None:
    """Run the nights that are not there yet, tune, measure, and print the table."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", nargs="+", default=list(COLLECTIONS), help="folders under --data")
    command.add_argument("--train", type=int, default=150, help="judged queries of train at most")
    command.add_argument("--limit", type=int, default=100, help="judged queries of test at most")
    command.add_argument("--depth", type=int, default=40, help="candidates reranked")
    command.add_argument("--fields", action="store_true", help="weights of BM25's fields, too")
    options = parsed(command)
    rows = [row_of(name, options) for name in options.collection]
    if options.json:
        print(
            json.dumps([asdict(row) | {"held_out": row.held_out._asdict(), "test": row.test._asdict()} for row in rows])
        )
    else:
        Console(width=200).print(table_of(rows))


if __name__ == "__main__":
    main()
