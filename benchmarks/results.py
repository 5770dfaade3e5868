"""Gathers what the programs of claims have kept into one page.

    python -m benchmarks.results --date 2026-11-23

Every program leaves ``<work>/claims/<program>.json``; the page has a table for each, the command behind it, the machine
and the versions. The exit code is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.parts.claims import COLUMNS, FIGURES, Claim, cells_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE = Path(__file__).with_name("RESULTS.md")
ORDER = (
    "rerank_speed",
    "embed_speed",
    "bm25_speed",
    "dense_speed",
    "sparse_retrieval",
    "training_speed",
    "search_cache",
    "memory_growth",
    "start_up",
)
PLACES = ("--work", "--data")  # options whose values say where something lies, and nothing of what is measured
OF_THE_MACHINE = ("processor", "cores", "memory", "GPU", "Python")


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="where the programs kept their claims")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--date", required=True, help="when the figures were taken, for the page to tell")
    options = parser.parse_args()
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in (options.work / "claims").glob("*.json")]
    kept.sort(key=lambda found: (_place(found["program"]), found["program"]))
    options.page.write_text(page_of(kept, date=options.date), encoding="utf-8")
    raise SystemExit(not all(claim["passed"] for found in kept for claim in found["claims"]))


def page_of(kept: Sequence[Mapping[str, Any]], *, date: str) -> str:
    """The page, in Markdown.

    Args:
        kept: What programs kept, in the order of the page.
        date: As it is told.
    """
    lines = ["# Figures", "", f"Written by `python -m benchmarks.results` on {date}; not by hand.", ""]
    lines += [
        "A ratio says how many times as good as the peer's our figure is: where both were raced, the median of rounds",
        "in which both ran in turn, in one process, on the same data. `of the limit` is the share of what the machine",
        "was measured to do.",
        "",
    ]
    for found in kept:
        lines += [*_section(found), ""]
    return "\n".join(lines)


def _section(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {found['question'] or found['program']}"
    yield ""
    program, arguments = found["program"], "".join(f" {argument}" for argument in _arguments(found["arguments"]))
    yield f"`python -m benchmarks.{program}{arguments}`"
    yield ""
    yield _row(COLUMNS)
    yield _row(["---:" if column in FIGURES else "---" for column in COLUMNS])
    for values in found["claims"]:
        yield _row(cells_of(Claim(**{name: value for name, value in values.items() if name != "passed"})))
    yield ""
    machine = found["machine"]
    yield ", ".join(f"{name} {machine[name]}" for name in OF_THE_MACHINE if name in machine) + "."
    versions = (f"{name} {version}" for name, version in machine.items() if name not in OF_THE_MACHINE)
    yield f"Versions: {', '.join(versions)}."


def _row(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _arguments(given: Sequence[str]) -> Iterator[str]:
    """The arguments of a command without those that say where things lie on the machine that it ran on."""
    values = iter(given)
    for argument in values:
        if argument in PLACES:
            next(values, None)
        elif not argument.startswith(tuple(f"{place}=" for place in PLACES)) and argument != "--json":
            yield argument


def _place(program: str) -> int:
    return ORDER.index(program) if program in ORDER else len(ORDER)


if __name__ == "__main__":
    main()
