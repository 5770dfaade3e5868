"""Collections in BEIR layout as Nightrank settings, run through the real nightly flow in a folder that is kept.

    corpus.jsonl   queries.jsonl   qrels/<split>.tsv

The folder is kept between runs, so that a benchmark asked again computes nothing twice.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.parts.settings_files import LOOSE_GATES, write_settings_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.parts.settings_files import Value
    from nightrank.flows.night.summary import Summary


def arguments(description: str, *, limit: bool = False) -> argparse.Namespace:
    """The command line that every benchmark on BEIR folders has: where the data is, and where to work.

    Args:
        description: Of the benchmark.
        limit: Whether it can do with fewer queries than there are.
    """
    command = parser(description)
    if limit:
        command.add_argument("--limit", type=int, help="judged queries at most; default: all")
    return parsed(command)


def parser(description: str) -> argparse.ArgumentParser:
    """The same command line, for a benchmark that adds options of its own; ``parsed`` reads it."""
    command = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of BEIR folders")
    command.add_argument("--work", type=Path, default=Path(".benchmarks"), help="kept between runs")
    command.add_argument("--precision", default="auto", help="of the models, as in the settings")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    return command


def parsed(command: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for; ends the program where there is no data."""
    options = command.parse_args()
    if not options.data.is_dir():
        sys.exit(f"There is no folder {options.data}; name one in BEIR layout with --data.")
    return options


def write_settings(
    data: Path,
    work: Path,
    name: str,
    *,
    split: str,
    query_limit: int | None = None,
    sections: Mapping[str, Mapping[str, Value]],
) -> Path:
    """Write settings, and the query log of one split's judged queries, for a collection.

    Args:
        data: A folder in BEIR layout.
        work: Where the settings and the workspace go; benchmarks on one collection share its embeddings.
        name: Of the benchmark.
        split: Of the qrels.
        query_limit: At most so many judged queries, drawn with a fixed seed; the qrels are cut likewise.
        sections: Settings by section, beside the sources.

    Returns:
        The settings file.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (data / "qrels" / f"{split}.tsv").open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    judged = sorted({row[0] for row in rows})
    if query_limit is not None and len(judged) > query_limit:
        judged = sorted(random.Random(0).sample(judged, query_limit))
    chosen = set(judged)
    with (data / "queries.jsonl").open() as source, (work / f"{name}.queries.jsonl").open("w") as target:
        target.writelines(line for line in source if json.loads(line)["_id"] in chosen)
    with (work / f"{name}.qrels.tsv").open("w") as target:
        target.write("query-id\tcorpus-id\tscore\n")
        target.writelines("\t".join(row) + "\n" for row in rows if row[0] in chosen)
    everything: dict[str, Mapping[str, Value]] = {
        "documents": {"source": str((data / "corpus.jsonl").resolve())},
        "queries": {"log": f"{name}.queries.jsonl", "budget": 1_000_000},
        "gates": LOOSE_GATES,
        **sections,
        "judgments": {"qrels": f"{name}.qrels.tsv", **sections.get("judgments", {})},
    }
    return write_settings_file(work / f"{name}.toml", everything)


def run_night(settings_file: Path) -> Summary:
    """Run the nightly flow, quietly."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    from nightrank.flows.refresh import refresh

    return refresh(str(settings_file))
