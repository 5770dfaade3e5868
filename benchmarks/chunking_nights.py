"""What do boundaries that the text decides save, against windows of a fixed size counted from the document's start?

    python -m benchmarks.chunking_nights --data FOLDER --work FOLDER

The pages and queries of benchmarks.nights, once with each method. Nothing is reranked; the pairs that a reranker would
have to score are counted: those of a query and a text among the first candidates that no earlier night had.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from benchmarks.nights import lay_out, page_arguments, pages_changed, parsed, settings, unpacked
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.settings_files import write_settings_file
from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.parts.settings_files import Sections

METHODS = ("content", "fixed")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a night asks of the models."""

    chunks_embedded: int
    pairs_to_score: int


def main() -> None:
    """Print the table."""
    options = parsed(page_arguments(__doc__ or ""))
    work: Path = options.work / "chunking_nights"
    work.mkdir(parents=True, exist_ok=True)
    folders = unpacked(options.data, work)[: options.nights]
    sections = settings(work, queries=options.queries, depth=options.depth, first=folders[0], tiny=options.tiny)
    found = {
        method: list(
            _costs(
                work,
                {**sections, "chunking": {"method": method}, "reranker": {"model": "none"}},
                folders,
                depth=options.depth,
            )
        )
        for method in METHODS
    }
    changed = [0, *(pages_changed(before, after) for before, after in pairwise(folders))]
    shares = {
        name: sum(getattr(cost, name) for cost in found["content"][1:])
        / max(1, sum(getattr(cost, name) for cost in found["fixed"][1:]))
        for name in ("chunks_embedded", "pairs_to_score")
    }
    if options.json:
        rows = {method: [asdict(cost) for cost in costs] for method, costs in found.items()}
        nights = [folder.name for folder in folders]
        print(json.dumps({"nights": nights, "pages_changed": changed, **rows, "content_over_fixed": shares}))
        return
    table = Table("night", "pages changed", "embedded: content", "fixed", f"pairs to {options.depth}: content", "fixed")
    for folder, pages, ours, theirs in zip(folders, changed, *found.values(), strict=True):
        table.add_row(folder.name, str(pages), *_cells(ours, theirs))
    table.add_section()
    table.add_row(
        f"{len(folders) - 1} later nights", str(sum(changed)), *_cells(*(_sum(found[name][1:]) for name in METHODS))
    )
    Console(width=110).print(table)
    print(
        f"content over fixed, later nights together: {shares['chunks_embedded']:.1%} of the chunks embedded, ", end=""
    )
    print(f"{shares['pairs_to_score']:.1%} of the pairs to score")


def _costs(work: Path, sections: Sections, folders: Sequence[Path], *, depth: int) -> Iterator[Cost]:
    """The cost of each night, in a new workspace."""
    workspace = FolderWorkspace(work / "workspace")
    shutil.rmtree(workspace.root, ignore_errors=True)
    settings_file = write_settings_file(work / "nightrank.toml", sections)
    seen: set[tuple[str, str]] = set()
    for folder in folders:
        lay_out(work / "pages", folder)
        counts = refresh_plainly(settings_file).counts
        candidates = read_table(
            ReleaseFiles(workspace.release(workspace.require_current())).candidates.path,
            columns=["query_key", "chunk_hash", "fused_rank"],
        ).filter(pc.field("fused_rank") <= depth)
        pairs = set(zip(*(candidates.column(name).to_pylist() for name in ("query_key", "chunk_hash")), strict=True))
        yield Cost(counts.chunks_embedded, len(pairs - seen))
        seen |= pairs
        print(f"{sections['chunking']['method']} {folder.name}", file=sys.stderr, flush=True)


def _sum(costs: Sequence[Cost]) -> Cost:
    return Cost(sum(cost.chunks_embedded for cost in costs), sum(cost.pairs_to_score for cost in costs))


def _cells(ours: Cost, theirs: Cost) -> Iterator[str]:
    for name in ("chunks_embedded", "pairs_to_score"):
        yield from (f"{getattr(cost, name):,}" for cost in (ours, theirs))


if __name__ == "__main__":
    main()
