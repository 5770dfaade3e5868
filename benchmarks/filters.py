"""Do filters let through what they say, and nothing else, night after night? On a real documentation site.

    python -m benchmarks.filters --data FOLDER --work FOLDER

Pages of the Dapr documentation with the metadata of their front matter; 50 queries made by rule from the pages, each
with a filter, and the same queries without. Three nights: the pages of a first day, those of a day eight weeks later of
which a tenth has other metadata, and the same with metadata changed alone. After each, every filtered query is checked
against brute force in this process: the whole ranking of each leg is filtered by plain Python over the pages' own front
matter, cut, fused, ordered and cut again. And a second workspace, made from nothing but the memos, must hold the same.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.inputs.page_queries import page_queries
from benchmarks.nights import lay_out, page_arguments, pages_changed, parsed, unpacked
from benchmarks.parts.filters_by_brute_force import BruteForce, check
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.rebuild import from_memos
from benchmarks.parts.settings_files import LOOSE_GATES, Sections, tiny_models, write_settings_file
from nightrank.storage.records import Document
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.settings.inputs import DocumentsSettings

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from nightrank.storage.records import JsonValue, Metadata

QUERIES = 50
FILTERS: tuple[dict[str, JsonValue], ...] = (
    {"type": "docs", "weight": {"lt": 2000}},
    {"weight": {"gte": 1000, "lte": 3000}},
    {"weight": {"exists": False}},
    {"aliases": {"exists": True}, "not": {"weight": {"gt": 3000}}},
    {"linkTitle": ["Redis", "Configuration", "Components", "Overview", "Bindings"]},
    {"or": [{"weight": {"lt": 200}}, {"no_list": True}]},
    {"not": {"or": [{"weight": {"lt": 4000}}, {"aliases": {"exists": True}}]}},
    {"linkTitle": "Overview"},
    {"and": [{"weight": {"gt": 100}}, {"weight": {"not": 1000}}]},
    {"weight": {"gt": 10_000_000}},
)
REFUSED: tuple[dict[str, JsonValue], ...] = ({"wieght": 1}, {"weight": "2000"}, {"linkTitle": {"lt": "b"}})
EDITED = 0.1  # share of the pages whose metadata change in a night
SEED = 20240603
WEIGHT = re.compile(r"^weight:.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Night:
    """One night, and how its filtered queries compare with brute force.

    Attributes:
        changed: Pages that differ from the night before.
        counts: The flow's own, by name.
        seconds: The flow's own, by stage.
        checked: Against brute force.
        is_rebuilt: Whether a rebuild from the memos holds the same.
    """

    name: str
    changed: int
    counts: dict[str, int]
    seconds: dict[str, float]
    checked: BruteForce
    is_rebuilt: bool


def main() -> None:
    """Print the nights; the exit code is 1 where a result violates a filter or differs from brute force."""
    options = _arguments()
    work: Path = options.work / "filters"
    work.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(work / "workspace", ignore_errors=True)
    days = unpacked(options.data, options.work / "nights")
    first, later = days[0], days[-1]
    sections = _settings(work, first, depth=options.depth, tiny=options.tiny)
    generator = random.Random(SEED)
    nights = [
        _night(work, sections, first, name="the first", generator=generator, share=0.0, pages=options.pages),
        _night(
            work, sections, later, name="pages and metadata", generator=generator, share=EDITED, pages=options.pages
        ),
        _night(work, sections, None, name="metadata alone", generator=generator, share=EDITED, pages=options.pages),
    ]
    passed = all(night.checked.is_equal and night.is_rebuilt for night in nights)
    passed &= all(night.counts["queries_bad"] == len(REFUSED) for night in nights)
    if options.json:
        print(json.dumps({"passed": passed, "nights": [asdict(night) for night in nights]}))
    else:
        _print(nights)
        print("passed" if passed else "FAILED")
    raise SystemExit(not passed)


def _night(
    work: Path,
    sections: Sections,
    folder: Path | None,
    *,
    name: str,
    generator: random.Random,
    share: float,
    pages: int | None,
) -> Night:
    """Lay out a day's pages (None: those of the night before), edit their metadata, run the night and check it."""
    live, before = work / "pages", work / "pages before"
    shutil.rmtree(before, ignore_errors=True)
    if live.is_dir():
        shutil.copytree(live, before)
    if folder is not None:
        lay_out(live, folder)
        for path in sorted(live.rglob("*.md"))[pages:] if pages is not None else ():
            path.unlink()
    _edit_metadata(live, generator, share=share)
    summary = refresh_plainly(write_settings_file(work / "nightrank.toml", sections))
    workspace = FolderWorkspace(work / "workspace")
    print(f"{name}: {summary.counts.queries} queries in {summary.seconds['total']:.0f} s", file=sys.stderr, flush=True)
    return Night(
        name=name,
        changed=pages_changed(before, live) if before.is_dir() else summary.counts.documents,
        counts=summary.counts.model_dump(),
        seconds=dict(summary.seconds),
        checked=check(workspace, _metadata(live)),
        is_rebuilt=from_memos(work, sections, workspace).comparison.is_exact,
    )


def _edit_metadata(pages: Path, generator: random.Random, *, share: float) -> None:
    """Give some pages another weight, or none: nothing that a model reads."""
    paths = sorted(path for path in pages.rglob("*.md") if WEIGHT.search(path.read_text(encoding="utf-8")))
    for path in generator.sample(paths, round(share * len(paths))):
        weight = generator.choice(("", f"weight: {generator.randrange(1, 60) * 100}"))
        text = WEIGHT.sub(weight, path.read_text(encoding="utf-8"), count=1)
        path.write_text(text, encoding="utf-8")


def _metadata(pages: Path) -> dict[str, Metadata]:
    """The pages' own front matter, by document id."""
    rows = read_documents(DocumentsSettings(source=pages.name), base=pages.parent, account=Account())
    return {row.document_id: row.metadata for row in rows if isinstance(row, Document)}


def _settings(work: Path, first: Path, *, depth: int, tiny: bool) -> Sections:
    """Sections of the settings, and beside them the query log that they name."""
    rows: list[dict[str, JsonValue]] = []
    for number, query in enumerate(page_queries(first, wanted=QUERIES)):
        rows += [{"query": query}, {"query": query, "filter": FILTERS[number % len(FILTERS)]}]
    rows += [{"query": "set aside", "filter": condition} for condition in REFUSED]
    (work / "queries.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    models = tiny_models(work / "models") if tiny else {}
    return {
        "documents": {"source": "pages"},
        "queries": {"log": "queries.jsonl"},
        "embedder": models.get("embedder", {}),
        "reranker": {**models.get("reranker", {}), "depth": depth},
        "gates": LOOSE_GATES,
    }


def _print(nights: list[Night]) -> None:
    table = Table(title=f"{QUERIES} queries with {len(FILTERS)} filters, and without", title_justify="left")
    columns = ("night", "pages changed", "chunks embedded", "queries scanned", "pairs scored", "seconds: filters")
    for column in (*columns, "retrieval", "all", "results checked", "violations", "queries that differ", "= rebuild"):
        table.add_column(column, justify="left" if column == "night" else "right")
    for night in nights:
        seconds, checked = night.seconds, night.checked
        retrieval = seconds["retrieve bm25"] + seconds["retrieve dense"]
        counts = [night.counts[name] for name in ("chunks_embedded", "queries_scanned", "pairs_scored")]
        table.add_row(
            night.name,
            *(f"{count:,}" for count in (night.changed, *counts)),
            *(f"{value:.2f}" for value in (seconds["filters"], retrieval, seconds["total"])),
            *(f"{count:,}" for count in (checked.results, checked.violations, checked.differing)),
            "yes" if night.is_rebuilt else "NO",
        )
    Console(width=200).print(table)
    let_through = Table(title="What each filter lets through on the last night", title_justify="left")
    for column in ("filter", "queries", "chunks", "share"):
        let_through.add_column(column, justify="left" if column == "filter" else "right")
    for condition, (queries, chunks, share) in sorted(nights[-1].checked.filters.items()):
        let_through.add_row(condition, str(queries), f"{chunks:,}", f"{share:.1%}")
    Console(width=200).print(let_through)


def _arguments() -> argparse.Namespace:
    parser = page_arguments(__doc__ or "")
    parser.add_argument("--pages", type=int, help="only so many pages: a trial of the program itself")
    return parsed(parser)


if __name__ == "__main__":
    main()
