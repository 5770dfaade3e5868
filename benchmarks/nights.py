"""What does a night cost on a real documentation site? 20 days of its pages, one workspace, one night a day.

    python -m benchmarks.nights --data FOLDER --work FOLDER

Pages of the Dapr documentation, 447 a day, as they stood on 20 days of June and July 2024; 500 queries made by rule
from the first day's pages. The first night does everything; every later one should cost what changed. After each night
a second workspace is made from nothing but the memos, and must hold the same; --from-nothing does it once more at the
end with all models run again. A night that is done is kept in the work folder, and a program that was stopped goes on
behind it.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import sys
import tarfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.inputs.beir_folders import run_night
from benchmarks.inputs.page_queries import page_queries
from benchmarks.parts.night_records import NightLog, NightRecord, Verdict, print_nights, record_of, total_of
from benchmarks.parts.rebuild import Rebuilt, from_memos, from_nothing
from benchmarks.parts.settings_files import LOOSE_GATES, Sections, tiny_models, write_settings_file
from nightrank.storage.files.atomic import publish_folder
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Sequence

ARCHIVE = "dapr-docs-nights.tar.xz"
LATER_PAIRS = 0.25  # of night 1's, over all later nights
ONE_PAGE_PAIRS = 0.02  # of night 1's, on a night on which one page changed


def main() -> None:
    """Print the tables and the verdicts; the exit code is 1 where one is missed."""
    options = _arguments()
    work: Path = options.work / "nights"
    if options.fresh:
        shutil.rmtree(work, ignore_errors=True)
    folders = unpacked(options.data, work)[: options.nights]
    asked = {"queries": options.queries, "depth": options.depth, "tiny": options.tiny}
    log = NightLog(work / "nights.jsonl", asked=asked)
    sections = settings(work, queries=options.queries, depth=options.depth, first=folders[0], tiny=options.tiny)
    for number in range(len(log.records), len(folders)):
        _night(work, sections, log, folders[: number + 1])
        print(f"{folders[number].name}: {log.records[-1].rebuilt}", file=sys.stderr, flush=True)
    records = log.records[: len(folders)]
    rebuilt = _rebuilt_from_nothing(work, sections, records) if options.from_nothing else None
    verdicts = verdicts_of(records)
    passed = all(verdict.passed for verdict in verdicts) and all(record.is_equal for record in records)
    passed &= rebuilt is None or rebuilt.comparison.is_same_but_for_ties
    if options.json:
        found = {
            "nights": [asdict(record) for record in records],
            "verdicts": [asdict(verdict) for verdict in verdicts],
        }
        print(json.dumps({"passed": passed, **found, "from_nothing": None if rebuilt is None else asdict(rebuilt)}))
    else:
        print_nights(records)
        for verdict in verdicts:
            print(verdict)
        if rebuilt is not None:
            print(f"Rebuilt from nothing, {rebuilt.pairs_scored:,} pairs scored again: {rebuilt.comparison}")
    raise SystemExit(not passed)


def verdicts_of(records: Sequence[NightRecord]) -> list[Verdict]:
    """The targets, for the nights that there are."""
    first = records[0].counts["pairs_scored"]
    later = records[1:]
    verdicts = [
        Verdict(f"pairs scored over {len(later)} later nights", total_of(later, "pairs_scored") / first, LATER_PAIRS)
    ]
    for record in later:
        if record.changed == 1:
            name = f"pairs scored on {record.name}, one page changed"
            verdicts.append(Verdict(name, record.counts["pairs_scored"] / first, ONE_PAGE_PAIRS))
    return verdicts


def unpacked(data: Path, work: Path) -> list[Path]:
    """The folders of pages, a day each, unpacked where they are not there yet."""
    target = work / "days"
    if not target.is_dir():
        partial = work / "days.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(data / ARCHIVE) as archive:
            archive.extractall(partial, filter="data")
        publish_folder(partial, target)
    return sorted(path for path in target.iterdir() if path.is_dir())


def settings(work: Path, *, queries: int, depth: int, first: Path, tiny: bool) -> Sections:
    """Sections of the settings, and beside them the query log that they name."""
    log = work / "queries.jsonl"
    if not log.is_file():
        rows = (json.dumps({"query": query}) for query in page_queries(first, wanted=queries))
        log.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    models = tiny_models(work / "models") if tiny else {}
    return {
        "documents": {"source": "pages"},
        "queries": {"log": log.name},
        "embedder": models.get("embedder", {}),
        "reranker": {**models.get("reranker", {}), "depth": depth},
        "gates": LOOSE_GATES,
    }


def lay_out(pages: Path, folder: Path) -> None:
    """Make ``pages`` hold what ``folder`` holds: documents keep their ids from day to day."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(folder, pages)


def pages_changed(before: Path, after: Path) -> int:
    """Pages whose bytes differ, or that stand on one side alone."""
    sides = [{path.relative_to(side) for path in side.rglob("*") if path.is_file()} for side in (before, after)]
    both = sides[0] & sides[1]
    return len(sides[0] ^ sides[1]) + sum(not filecmp.cmp(before / path, after / path, shallow=False) for path in both)


def _night(work: Path, sections: Sections, log: NightLog, folders: Sequence[Path]) -> None:
    """Run the night of the last folder, rebuild it, and keep its record."""
    workspace = FolderWorkspace(work / "workspace")
    if len(folders) == 1 and log.was_interrupted:
        shutil.rmtree(workspace.root, ignore_errors=True)  # the first night is what all others are shares of
    is_resumed = log.was_interrupted and len(folders) > 1
    log.start()
    lay_out(work / "pages", folders[-1])
    summary = run_night(write_settings_file(work / "nightrank.toml", sections))
    record = record_of(
        summary,
        from_memos(work, sections, workspace),
        name=folders[-1].name,
        changed=pages_changed(*folders[-2:]) if len(folders) > 1 else summary.counts.documents,
        known=log.records,
        is_resumed=is_resumed,
    )
    log.append(record)


def _rebuilt_from_nothing(work: Path, sections: Sections, records: Sequence[NightRecord]) -> Rebuilt:
    workspace = FolderWorkspace(work / "workspace")
    if workspace.require_current() != records[-1].release_id:
        sys.exit(f"The workspace has gone on beyond {records[-1].name}; give --nights as before, or --fresh.")
    return from_nothing(work, sections, workspace)


def page_arguments(description: str) -> argparse.ArgumentParser:
    """The command line that every benchmark on the days of pages has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help=f"folder that holds {ARCHIVE}")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="kept between runs")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--depth", type=int, default=50, help="candidates a query that are, or would be, reranked")
    parser.add_argument("--nights", type=int, default=20, help="how many of the days")
    parser.add_argument("--tiny", action="store_true", help="random models of one layer: a trial of the program itself")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; ends the program where the pages are not there."""
    options = parser.parse_args()
    if not (options.data / ARCHIVE).is_file():
        sys.exit(f"There is no {options.data / ARCHIVE}; name its folder with --data.")
    return options


def _arguments() -> argparse.Namespace:
    parser = page_arguments(__doc__ or "")
    parser.add_argument("--from-nothing", action="store_true", help="at the end, rebuild with all models run again")
    parser.add_argument("--fresh", action="store_true", help="forget the nights that are done")
    return parsed(parser)


if __name__ == "__main__":
    main()
