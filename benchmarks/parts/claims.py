"""Claims of speed or memory: what we and a peer measured, the ratio, the target, and how a program tells of them."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table

from benchmarks.parts.machine import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.parts.race import Laps


COLUMNS = ("claim", "peer", "ours", "theirs", "unit", "ratio", "target", "of the limit", "spread", "equal", "")
FIGURES = frozenset({"ours", "theirs", "ratio", "target", "of the limit"})


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure of ours beside one of a peer, or beside a fixed demand.

    Attributes:
        claim: What was done, with its size: "BM25 top 100, 200,000 chunks".
        peer: Who else did it; for a fixed demand, the demand in words.
        ours: Our figure, in ``unit``.
        theirs: The peer's figure, or the demand, in ``unit``.
        ratio: How many times as good as theirs ours is: a higher one is better, also where a lower figure is.
        target: What the ratio must reach; None where it is told for what it is.
        spread: The lowest and highest of both, in words.
        share_of_limit: Of what the machine can do, as measured; None where no one limit applies.
        equal: What was compared of both outcomes, and how equal it is.
    """

    claim: str
    peer: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    target: float | None
    spread: str
    share_of_limit: float | None
    equal: str

    @property
    def passed(self) -> bool:
        """Whether the target is reached, or there is none."""
        return self.target is None or self.ratio >= self.target


def claim_of_rates(
    claim: str,
    ours: Laps,
    theirs: Laps,
    *,
    amount: float,
    unit: str,
    target: float | None,
    equal: str,
    share_of_limit: float | None = None,
) -> Claim:
    """A claim of how much is done a second, from the laps of one race.

    Args:
        claim: What was done, with its size.
        ours: Our laps.
        theirs: The peer's, whose name is the peer.
        amount: How much one lap does, in whatever ``unit`` counts a second.
        unit: Of the rates: "pairs/s".
        target: What the ratio must reach.
        equal: What was compared of both outcomes, and how equal it is.
        share_of_limit: Of what the machine can do.

    Returns:
        Its figures are of the median laps; its ratio is the median of the rounds' ratios, since what slows a machine
        for a while slows both runners of a round.
    """
    ratios = ours.times_faster(theirs)
    rates = [f"{_short(amount / laps.high)} to {_short(amount / laps.low)}" for laps in (ours, theirs)]
    return Claim(
        claim=claim,
        peer=theirs.name,
        ours=amount / ours.median,
        theirs=amount / theirs.median,
        unit=unit,
        ratio=median(ratios),
        target=target,
        spread=f"ours {rates[0]}, theirs {rates[1]}; ratio {_short(min(ratios))} to {_short(max(ratios))}",
        share_of_limit=share_of_limit,
        equal=equal,
    )


def table_of(claims: Sequence[Claim]) -> Table:
    """Claims as a table for a terminal."""
    table = Table()
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in FIGURES else "left")
    for claim in claims:
        table.add_row(*cells_of(claim))
    return table


def cells_of(claim: Claim) -> tuple[str, ...]:
    """What a table says of a claim, by column."""
    return (
        claim.claim,
        claim.peer,
        _short(claim.ours),
        _short(claim.theirs),
        claim.unit,
        f"{claim.ratio:.2f}",
        "" if claim.target is None else f"{claim.target:g}",
        "" if claim.share_of_limit is None else f"{claim.share_of_limit:.0%}",
        claim.spread,
        claim.equal,
        "" if claim.target is None else ("ok" if claim.passed else "MISSED"),
    )


def benchmark_parser(doc: str) -> argparse.ArgumentParser:
    """The command line that every program of claims has: --work, --json, --rounds, --small."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".benchmarks"), help="kept between runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each runner")
    parser.add_argument("--small", action="store_true", help="sizes that fit minutes on two cores")
    question = doc.strip().partition("\n\n")[0].replace("\n", " ")
    parser.set_defaults(program=Path(sys.argv[0]).stem, question=question)
    return parser


def main_of(claims: Sequence[Claim], options: argparse.Namespace) -> NoReturn:
    """Print the claims, keep them as ``<work>/claims/<program>.json``, and end the program.

    Args:
        claims: In the order in which they are told.
        options: Parsed by ``benchmark_parser``.

    Raises:
        SystemExit: Always; with 1 where a target is missed.
    """
    found = keep(claims, options)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        console = Console(width=None if sys.stdout.isatty() else 200)
        console.print(table_of(claims))
        console.print(", ".join(f"{name} {value}" for name, value in machine().items()))
    raise SystemExit(not all(claim.passed for claim in claims))


def keep(claims: Sequence[Claim], options: argparse.Namespace) -> dict[str, Any]:
    """Keep claims as ``<work>/claims/<program>.json``, which ``benchmarks.results`` reads; what was kept.

    Args:
        claims: In the order in which they are told.
        options: Parsed by ``benchmark_parser``.
    """
    found = {
        "program": options.program,
        "question": options.question,
        "arguments": sys.argv[1:],
        "machine": machine(),
        "claims": [{**asdict(claim), "passed": claim.passed} for claim in claims],
    }
    path: Path = options.work / "claims" / f"{options.program}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def _short(value: float) -> str:
    """Three digits that count.

    >>> _short(12345.6), _short(12.345), _short(0.012345), _short(-1.5), _short(0.0)
    ('12,346', '12.3', '0.0123', '-1.50', '0.00')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
