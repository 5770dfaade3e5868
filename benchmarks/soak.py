"""Does a workspace keep its size and its pace? A hundred nights of 1 % churn on a small collection.

    python -m benchmarks.soak

Documents composed of the demo collection's sentences, tiny random models, no Prefect: what is measured is what a night
costs beside the models, and what it leaves on disk. At the end the same input is built in an empty workspace.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.inputs.synthetic_edits import Churn, churned
from benchmarks.parts.night_records import Verdict
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.settings_files import LOOSE_GATES, tiny_models, write_settings_file
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.chunk.pieces import split_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.inputs.synthetic_edits import Row
    from benchmarks.parts.settings_files import Sections

SEED = 100
CHURN = 0.01
DEMO = Path(__file__).parents[1] / "flows" / "demo" / "corpus.jsonl.gz"
EVERY = 10  # nights between two rows of the table
SIZE = 1.5  # of a fresh build's
PACE = 1.25  # of the median of nights 2 to 11, for the median of the last ten


@dataclass(frozen=True, slots=True)
class SoakedNight:
    """What a night took and left.

    Attributes:
        seconds: Of the whole night.
        size_bytes: Of LanceDB's tables, the memos and the releases, by folder.
    """

    night: int
    seconds: float
    documents: int
    chunks: int
    size_bytes: dict[str, int]


def main() -> None:
    """Print the table and the verdicts; the exit code is 1 where one is missed."""
    options = _arguments()
    work: Path = options.work / "soak"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    generator = random.Random(SEED)
    sentences = _sentences()
    changing = max(3, round(CHURN * options.documents))
    churn = Churn(edited=changing - 2 * (changing // 3), metadata_only=0, removed=changing // 3, added=changing // 3)
    composed = _composed(sentences, count=options.documents + options.nights * churn.added, generator=generator)
    documents, held_back = composed[: options.documents], composed[options.documents :]
    sections = _settings(work, sentences, keep=options.keep, generator=generator)
    nights = []
    for number in range(1, options.nights + 1):
        if number > 1:
            documents, held_back = churned(documents, held_back, churn, generator=generator), held_back[churn.added :]
        _write_rows(work / "corpus.jsonl", documents)
        nights.append(_night(work, sections, number))
        if number % EVERY == 0:
            print(f"night {number}: {nights[-1].seconds:.2f} s", file=sys.stderr, flush=True)
    fresh = _night(work, {**sections, "": {"workspace": "fresh"}}, 1)
    verdicts = _verdicts(nights, fresh, keep=options.keep)
    if options.json:
        found = {
            "keep": options.keep,
            "passed": all(verdict.passed for verdict in verdicts),
            "nights": [asdict(night) for night in nights],
            "fresh": asdict(fresh),
            "verdicts": [asdict(verdict) | {"passed": verdict.passed} for verdict in verdicts],
        }
        print(json.dumps(found))
    else:
        _print(nights, fresh)
        for verdict in verdicts:
            print(verdict)
    raise SystemExit(not all(verdict.passed for verdict in verdicts))


def _night(work: Path, sections: Sections, number: int) -> SoakedNight:
    settings_file = write_settings_file(work / "nightrank.toml", sections)
    summary = refresh_plainly(settings_file)
    workspace = FolderWorkspace(work / str(sections[""]["workspace"]))
    folders = (workspace.root / "lance", workspace.memo, workspace.releases)
    return SoakedNight(
        night=number,
        seconds=summary.seconds["total"],
        documents=summary.manifest.counts.documents,
        chunks=summary.manifest.counts.chunks,
        size_bytes={folder.name: _size(folder) for folder in folders},
    )


def _verdicts(nights: Sequence[SoakedNight], fresh: SoakedNight, *, keep: int) -> list[Verdict]:
    early, late = nights[1 : EVERY + 1], nights[-EVERY:]
    expected = _total(fresh) + (keep - 1) * fresh.size_bytes["releases"]
    name = "size against a fresh build" + (f" with {keep} such releases" if keep > 1 else "")
    return [
        Verdict(name, _total(nights[-1]) / expected, SIZE),
        Verdict(
            "median seconds of the last nights against nights 2 to 11",
            median(night.seconds for night in late) / median(night.seconds for night in early),
            PACE,
        ),
    ]


def _print(nights: Sequence[SoakedNight], fresh: SoakedNight) -> None:
    table = Table("night", "median seconds", "documents", "chunks", "LanceDB", "memos", "releases", "MB in all")
    for night in [*nights[EVERY - 1 :: EVERY], fresh]:
        before = [fresh] if night is fresh else nights[night.night - EVERY : night.night]
        seconds = median(each.seconds for each in before)
        sizes = (f"{size / 1e6:.2f}" for size in (*night.size_bytes.values(), _total(night)))
        name = "fresh build" if night is fresh else str(night.night)
        table.add_row(name, f"{seconds:.2f}", str(night.documents), str(night.chunks), *sizes)
    Console(width=110).print(table)


def _total(night: SoakedNight) -> int:
    return sum(night.size_bytes.values())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sentences() -> list[str]:
    """Sentences of the demo collection, some words long each."""
    with gzip.open(DEMO, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    pieces = (text[piece.start : piece.end] for text in texts for piece in split_pieces(text))
    return sorted({" ".join(piece.split()) for piece in pieces if 6 <= len(piece.split()) <= 30})


def _composed(sentences: Sequence[str], *, count: int, generator: random.Random) -> list[Row]:
    rows: list[Row] = []
    for number in range(count):
        chosen = generator.sample(sentences, generator.randint(3, 25))
        rows.append(
            {
                "_id": f"document-{number:05}",
                "title": " ".join(chosen[0].split()[:5]),
                "text": " ".join(chosen),
                "metadata": {},
            }
        )
    return rows


def _settings(work: Path, sentences: Sequence[str], *, keep: int, generator: random.Random) -> Sections:
    """Sections of the settings, and beside them the query log that they name."""
    queries: list[Row] = [{"query": " ".join(sentence.split()[:6])} for sentence in generator.sample(sentences, 50)]
    _write_rows(work / "queries.jsonl", queries)
    models = tiny_models(work / "models")
    return {
        "": {"workspace": "workspace"},
        "documents": {"source": "corpus.jsonl"},
        "queries": {"log": "queries.jsonl"},
        "embedder": models["embedder"],
        "retrieval": {"candidate_depth": 30},
        "reranker": {**models["reranker"], "depth": 20},
        "retention": {"keep": keep},
        "gates": LOOSE_GATES,
    }


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"))
    parser.add_argument("--nights", type=int, default=100)
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--keep", type=int, default=1, help="releases that are kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.nights <= EVERY:
        sys.exit(f"Give more than {EVERY} nights; the first ones are what the last ones are measured against.")
    return options


if __name__ == "__main__":
    main()
