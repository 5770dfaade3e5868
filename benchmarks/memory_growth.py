"""Does a night's memory grow with the collection? The peak of every stage, on a collection and on ten times as much.

    python -m benchmarks.memory_growth --small

Documents made of pieces of Python's documentation, 300 words each, with a title and metadata; 500 queries; tiny random
models, so that what is measured is what a night holds beside its models. Each size has a workspace of its own and two
nights, each in a process of its own: the first one, and one after a hundredth of the documents was edited. The peak of
a stage is the most memory that the process held resident while it ran, as the kernel counts it (Linux alone).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.inputs.demo_documents import demo_documents
from benchmarks.parts.claims import Claim, benchmark_parser, main_of
from benchmarks.parts.settings_files import LOOSE_GATES, Sections, tiny_models, write_settings_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    Peaks = dict[str, int]  # bytes by stage

TIMES = 10
DOCUMENTS, SMALL_DOCUMENTS = 20_000, 3_000  # of the smaller collection
QUERIES = 500
WORDS = 300
EDITED = 100  # one document of so many is another on the second night
MOST_GROWTH = 1.25  # times the peak of the whole run
NIGHTS = ("first night", "night after edits")


def main() -> None:
    """Print the peaks and the claims."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--documents", type=int, help="of the smaller collection")
    parser.add_argument("--night", type=Path, help=argparse.SUPPRESS)  # what the child processes are asked for
    options = parser.parse_args()
    if options.night is not None:
        print(json.dumps(_peaks_of_a_night(options.night)))
        return
    documents = options.documents or (SMALL_DOCUMENTS if options.small else DOCUMENTS)
    work: Path = options.work / "memory_growth"
    shutil.rmtree(work, ignore_errors=True)
    models = tiny_models(options.work / "tiny models")
    small, large = (_nights(work / str(size), documents=size, models=models) for size in (documents, documents * TIMES))
    if not options.json:
        _print(small, large, documents=documents)
    main_of([_claim(night, small[night], large[night], documents=documents) for night in NIGHTS], options)


def _claim(night: str, small: Peaks, large: Peaks, *, documents: int) -> Claim:
    before, after = max(small.values()), max(large.values())
    return Claim(
        f"peak memory, {night}, {documents * TIMES:,} documents",
        f"itself on {documents:,}; at most {MOST_GROWTH - 1:.0%} more",
        ours=after / 1e6,
        theirs=before / 1e6,
        unit="MB",
        ratio=before / after,
        target=1 / MOST_GROWTH,
        spread="",
        share_of_limit=None,
        equal="",
    )


def _nights(folder: Path, *, documents: int, models: Sections) -> dict[str, Peaks]:
    """Peaks of both nights of one size, by night."""
    folder.mkdir(parents=True)
    sections: Sections = {
        "documents": {"source": "corpus.jsonl"},
        "queries": {"log": "queries.jsonl"},
        "judgments": {"qrels": "qrels.tsv"},
        **models,
        "gates": LOOSE_GATES,
    }
    settings_file = write_settings_file(folder / "nightrank.toml", sections)
    _write_queries(folder)
    peaks = {}
    for edition, night in enumerate(NIGHTS):
        _write_documents(folder / "corpus.jsonl", documents, edition=edition)
        command = [sys.executable, "-m", "benchmarks.memory_growth", "--night", str(settings_file)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peaks[night] = json.loads(done.stdout.splitlines()[-1])
        most = max(peaks[night], key=peaks[night].__getitem__)
        print(f"{documents:,} documents, {night}: {peaks[night][most] / 1e6:,.0f} MB in {most}", file=sys.stderr)
    return peaks


def _peaks_of_a_night(settings_file: Path) -> Peaks:
    """Run a night in this process; the peak of each stage, and of what comes before the first."""
    from benchmarks.parts.plain_nights import StageWatch, refresh_plainly

    peaks: Peaks = {}
    watch = StageWatch(lambda taken: peaks.update({taken.stage: taken.peak_bytes}))
    refresh_plainly(settings_file, on_stage=watch.next)
    watch.end()
    return peaks


def _write_documents(path: Path, documents: int, *, edition: int) -> None:
    """A collection; in a later edition one document of so many has other sentences."""
    words = " ".join(document["text"] for document in demo_documents()).split()
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            is_edited = edition > 0 and number % EDITED == 0
            generator = random.Random(number if not is_edited else -number - 1)
            starts = [generator.randrange(len(words) - 30) for _ in range(WORDS // 30)]
            text = " ".join(" ".join(words[start : start + 30]) for start in starts)
            document = {
                "_id": f"document-{number:08}",
                "title": " ".join(words[starts[0] : starts[0] + 5]),
                "text": text,
                "metadata": {"year": 1990 + number % 35, "kind": generator.choice(("guide", "reference", "tutorial"))},
            }
            file.write(json.dumps(document) + "\n")


def _write_queries(folder: Path) -> None:
    rows = files("nightrank.flows.demo").joinpath("queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [document["text"] for document in demo_documents()]
    generator = random.Random(3)
    queries = [json.loads(row)["query"] for row in rows]
    queries += [" ".join(generator.choice(texts).split()[:8]) for _ in range(QUERIES - len(queries))]
    lines = [json.dumps({"query": query, "query_id": f"q{number}"}) for number, query in enumerate(queries)]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    judged = [f"q{number}\tdocument-{number:08}\t1" for number in range(20)]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n", encoding="utf-8")


def _print(small: Mapping[str, Peaks], large: Mapping[str, Peaks], *, documents: int) -> None:
    for night in NIGHTS:
        table = Table(title=f"Peak of each stage, MB: {night}", title_justify="left")
        for column in ("stage", f"{documents:,} documents", f"{documents * TIMES:,} documents", "grows by"):
            table.add_column(column, justify="left" if column == "stage" else "right")
        for stage, after in large[night].items():
            before = small[night].get(stage, after)
            table.add_row(stage, f"{before / 1e6:,.0f}", f"{after / 1e6:,.0f}", f"{after / before - 1:.0%}")
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
