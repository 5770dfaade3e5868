"""What does each stage of two-stage retrieval add, and what does it cost? SciFact and Cranfield, default settings.

    python -m benchmarks.ladder --data FOLDER

A release is built, `nightrank evaluate --write-runs` tells the ladder, and ir_measures measures the exported TREC run
files once more, without Nightrank: the exit code is 1 where a measure differs.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import ir_measures
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.beir_folders import arguments, run_night, write_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.parts.settings_files import Value
    from nightrank.flows.evaluate.outcome import Evaluated

COLLECTIONS = ("scifact", "cran")
MEASURES = ("nDCG@10", "RR@10", "R@100", "AP", "P@5", "Judged@10")
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Ladder:
    """The ladder of one collection, and by how much its measures differ from those of the exported run files.

    Attributes:
        collection: Its folder's name.
        queries: Judged ones.
        stages: As ``evaluate --json`` tells them.
        runs: Run files that were measured.
        largest_difference: Over all stages and measures.
    """

    collection: str
    queries: int
    stages: list[dict[str, object]]
    runs: int
    largest_difference: float

    @property
    def passed(self) -> bool:
        """Whether all measures are equal, but for rounding."""
        return self.largest_difference <= ROUNDING


def climb(
    data: Path, work: Path, *, limit: int | None = None, sections: Mapping[str, Mapping[str, Value]] | None = None
) -> Ladder:
    """Build a release of a collection, and measure its ladder twice.

    Args:
        data: A folder in BEIR layout with a test split.
        work: Where the workspace and the run files go.
        limit: At most so many judged queries; None for all.
        sections: Settings by section, beside the sources.
    """
    settings_file = write_settings(data, work, "ladder", split="test", query_limit=limit, sections=sections or {})
    run_night(settings_file)
    from nightrank.flows.evaluate.flow import evaluate  # behind the night, which quiets Prefect before it is imported

    evaluated = evaluate.fn(str(settings_file), measures=list(MEASURES), write_runs=str(work / "ladder.runs"))
    assert evaluated.explained is not None
    return Ladder(
        collection=data.name,
        queries=evaluated.queries,
        stages=[dict(stage.as_json()) for stage in evaluated.explained.ladder],
        runs=len(evaluated.runs),
        largest_difference=largest_difference(evaluated, qrels=work / "ladder.qrels.tsv"),
    )


def largest_difference(evaluated: Evaluated, *, qrels: Path) -> float:
    """By how much what was told differs, at most, from what ir_measures makes of the exported run files.

    Args:
        evaluated: With run files.
        qrels: BEIR's TSV.
    """
    rows = [line.split("\t") for line in qrels.read_text(encoding="utf-8").splitlines()[1:]]
    judged = [ir_measures.Qrel(query_id, document_id, int(grade)) for query_id, document_id, grade in rows]
    differences = []
    for stage, path in evaluated.runs.items():
        run = list(ir_measures.read_trec_run(str(path)))  # type: ignore[no-untyped-call]  # it has no types
        for name, reported in evaluated.means[stage].items():
            found = ir_measures.iter_calc([ir_measures.parse_measure(name)], judged, run)
            differences.append(abs(reported - statistics.fmean(metric.value for metric in found)))
    return max(differences)


def main() -> None:
    """Print the ladders; the exit code is 1 where a measure differs."""
    options = arguments(__doc__ or "", limit=True)
    precision: dict[str, Mapping[str, Value]] = {
        name: {"precision": options.precision} for name in ("embedder", "reranker")
    }
    ladders = [
        climb(options.data / name, options.work / name, limit=options.limit, sections=precision) for name in COLLECTIONS
    ]
    passed = all(ladder.passed for ladder in ladders)
    if options.json:
        print(json.dumps({"passed": passed, "collections": [asdict(ladder) for ladder in ladders]}))
    else:
        for ladder in ladders:
            table = Table(
                "stage", *MEASURES, "ms a query", title=f"{ladder.collection}, {ladder.queries} judged queries"
            )
            for stage in ladder.stages:
                milliseconds = stage["milliseconds"]
                cost = f"{milliseconds:.1f}" if isinstance(milliseconds, float) else ""
                table.add_row(str(stage["name"]), *(f"{stage[name]:.4f}" for name in MEASURES), cost)
            Console(width=110).print(table)
            verdict = "all measures are equal" if ladder.passed else "MEASURES DIFFER"
            print(f"{ladder.runs} run files by ir_measures: {verdict} (at most {ladder.largest_difference:.1e})")
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
