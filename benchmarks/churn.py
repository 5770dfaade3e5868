"""What does a night cost when a share of a collection has changed? SciFact, and seeded edits of 1, 5 and 20 %.

    python -m benchmarks.churn --data FOLDER --work FOLDER

The first night does everything, on all documents but 2 % that are held back to be added. For each share a copy of its
workspace gets one night on the changed collection: most changed documents have one sentence replaced or appended, some
are removed, added, or have other metadata. Each outcome is compared with a rebuild that inherits the memos alone. What
is done is kept in the work folder.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.inputs.beir_folders import run_night
from benchmarks.inputs.synthetic_edits import Churn, churned
from benchmarks.parts.night_records import NightLog, Verdict, print_nights, record_of
from benchmarks.parts.rebuild import from_memos
from benchmarks.parts.settings_files import LOOSE_GATES, tiny_models, write_settings_file
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.inputs.synthetic_edits import Row
    from benchmarks.parts.night_records import NightRecord
    from benchmarks.parts.settings_files import Sections

SEED = 5183
HELD_BACK = 0.02
# Of the documents that change; all others are edited. At 20 % the documents to add just suffice.
METADATA_ONLY, REMOVED, ADDED = 0.04, 0.08, 0.08
FIRST = "night 1"
# At this share, at most so much of night 1's.
STRICT_SHARE = 0.01
CHUNKS_EMBEDDED, PAIRS_SCORED, MODEL_SECONDS = 0.015, 0.03, 0.04


def main() -> None:
    """Print the tables and the verdicts; the exit code is 1 where one is missed."""
    options = _arguments()
    work: Path = options.work / "churn"
    if options.fresh:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    asked = {"queries": options.queries, "depth": options.depth, "tiny": options.tiny}
    log = NightLog(work / "churn.jsonl", asked=asked)
    sections = _settings(work, options)
    documents = _documents(options.data / "scifact" / "corpus.jsonl")
    held_back = round(HELD_BACK * len(documents))
    start, spare = documents[held_back:], documents[:held_back]
    if not log.records:
        _night(work, sections, log, start, name=FIRST, changed=len(start))
    for share in options.shares:
        name = f"{share:.1%} changed"
        if name not in {record.name for record in log.records}:
            churn = churn_of(share, len(start))
            documents = churned(start, spare, churn, generator=random.Random(f"{SEED} {share}"))
            _night(work, sections, log, documents, name=name, changed=churn.total)
    wanted = {FIRST, *(f"{share:.1%} changed" for share in options.shares)}
    records = [record for record in log.records if record.name in wanted]
    verdicts = _verdicts(records)
    passed = all(verdict.passed for verdict in verdicts) and all(record.is_equal for record in records)
    if options.json:
        found = {
            "passed": passed,
            "nights": [asdict(record) | {"model_seconds": model_seconds(record)} for record in records],
            "verdicts": [asdict(verdict) | {"passed": verdict.passed} for verdict in verdicts],
        }
        print(json.dumps(found))
    else:
        print_nights(records, together=False)
        for record in records:
            print(f"{record.name}: the models took {model_seconds(record):.2f} s")
        for verdict in verdicts:
            print(verdict)
    raise SystemExit(not passed)


def model_seconds(record: NightRecord) -> float:
    """Seconds of the stages in which models run."""
    return sum(record.seconds.get(stage, 0.0) for stage in ("embed", "embed queries", "rerank"))


def _verdicts(records: Sequence[NightRecord]) -> list[Verdict]:
    first, *later = records
    strict = [record for record in later if record.name == f"{STRICT_SHARE:.1%} changed"]
    return [
        verdict
        for record in strict
        for verdict in (
            Verdict(
                f"chunks embedded, {record.name}",
                record.counts["chunks_embedded"] / first.counts["chunks_embedded"],
                CHUNKS_EMBEDDED,
            ),
            Verdict(
                f"pairs scored, {record.name}",
                record.counts["pairs_scored"] / first.counts["pairs_scored"],
                PAIRS_SCORED,
            ),
            Verdict(
                f"seconds of the models, {record.name}", model_seconds(record) / model_seconds(first), MODEL_SECONDS
            ),
        )
    ]


def churn_of(share: float, documents: int) -> Churn:
    """What happens to a share of so many documents: each kind of change at least once."""
    wanted = round(share * documents)
    metadata_only, removed, added = (max(1, round(part * wanted)) for part in (METADATA_ONLY, REMOVED, ADDED))
    return Churn(max(1, wanted - metadata_only - removed - added), metadata_only, removed, added)


def _night(work: Path, sections: Sections, log: NightLog, documents: Sequence[Row], *, name: str, changed: int) -> None:
    """Run one night on a collection, rebuild it, keep its record; every night but the first on a copy of its state."""
    first, copy = FolderWorkspace(work / "workspace"), FolderWorkspace(work / "changed")
    workspace = first if name == FIRST else copy
    shutil.rmtree(workspace.root, ignore_errors=True)
    if workspace is copy:
        shutil.copytree(first.root, copy.root)
    rows = (json.dumps(document, ensure_ascii=False) for document in documents)
    (work / "corpus.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    everything: Sections = {"": {"workspace": workspace.root.name}, **sections}
    summary = run_night(write_settings_file(work / "nightrank.toml", everything))
    rebuilt = from_memos(work, sections, workspace)
    record = record_of(summary, rebuilt, name=name, changed=changed, known=log.records, is_resumed=False)
    log.append(record)
    print(f"{name}: {record.rebuilt}", file=sys.stderr, flush=True)


def _settings(work: Path, options: argparse.Namespace) -> Sections:
    """Sections of the settings, and beside them the query log that they name."""
    lines = (options.data / "scifact" / "queries.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    chosen = random.Random(SEED).sample(lines, min(options.queries, len(lines)))
    (work / "queries.jsonl").write_text("".join(chosen), encoding="utf-8")
    models = tiny_models(work / "models") if options.tiny else {}
    return {
        "documents": {"source": "corpus.jsonl"},
        "queries": {"log": "queries.jsonl"},
        "embedder": models.get("embedder", {}),
        "reranker": {**models.get("reranker", {}), "depth": options.depth},
        "gates": LOOSE_GATES,
    }


def _documents(corpus: Path) -> list[Row]:
    """The collection in an order of its own, so that what is held back is a sample of it."""
    with corpus.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return random.Random(SEED).sample(rows, len(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds scifact")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="kept between runs")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.01, 0.05, 0.2], help="of the documents that change"
    )
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--depth", type=int, default=50, help="candidates a query that are reranked")
    parser.add_argument("--fresh", action="store_true", help="forget what is done")
    parser.add_argument("--tiny", action="store_true", help="random models of one layer: a trial of the program itself")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not (options.data / "scifact" / "corpus.jsonl").is_file():
        sys.exit(f"There is no {options.data / 'scifact'}; name its folder with --data.")
    return options


if __name__ == "__main__":
    main()
