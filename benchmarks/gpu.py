"""How fast is all of it on a card, beside sentence-transformers and torch?

    benchmarks/gpu.sh pack FOLDER             # where there is a network: what the card's machine may lack
    benchmarks/gpu.sh run --pack FOLDER       # on the card's machine, in 8 minutes
    benchmarks/gpu.sh run --device cpu --small --minutes 0.5    # anywhere: whether it all runs

Checks first that the lists and scores are the processor's or the library's, then races: the dense leg against torch's
own product and top-k, embedding and reranking with the packaged models, a ModernBERT and an XLM-RoBERTa against
``encode`` and ``predict`` at their best batch sizes, in the same precision. Amounts are chosen so that it ends in time;
what was skipped is told. Claims are kept after each part.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.parts.claims import benchmark_parser, keep, table_of
from benchmarks.parts.gpu_dense import copy_rate, dense
from benchmarks.parts.gpu_models import XLM_ROBERTA_BASE, Card, embed, rerank, shape_named
from benchmarks.parts.machine import matrix_rate, memory_bandwidth
from benchmarks.parts.time_budget import Part, Told, run_parts
from benchmarks.results import page_of
from nightrank.tasks.models.files import resolve_device

if TYPE_CHECKING:
    from collections.abc import Sequence

MODERN, LARGER = "cross-encoder/ettin-reranker-17m-v1", "cross-encoder/ettin-reranker-150m-v1"
AT_THE_END = 10.0  # seconds, to tell of it


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the claims; the exit code is 1 where a target is missed or a part failed."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--device", default="auto", help="as in the settings")
    parser.add_argument("--minutes", type=float, default=8.0, help="in which it ends")
    parser.add_argument("--pack", type=Path, help="folder that `pack` made; without it, what is installed")
    options = parser.parse_args(arguments)
    options.program = "gpu"
    device = resolve_device(options.device)
    tokenizer = None if options.pack is None else options.pack / "tokenizer"
    limits = _limits(device, small=options.small)
    card = Card(device, limits["half precision, TFLOP/s"] * 1e12, options.work, tokenizer, options.small)
    print(", ".join(f"{name}: {rate:.3g}" for name, rate in limits.items()), flush=True)

    told, found = Told(), dict[str, Any]()
    for told in run_parts(parts_of(card), 60 * options.minutes - AT_THE_END):
        found = keep(told.claims, options)
        print(f"{len(told.claims)} claims so far", flush=True)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table_of(told.claims))
    print(page_of([found], date="the day of this run"))
    for line in told.undone:
        print(line)
    raise SystemExit(told.has_failed or not all(claim.passed for claim in told.claims))


def parts_of(card: Card) -> list[Part]:
    """What is done, the more important first."""
    least = 1.0 if card.is_small else 20.0
    rerankers = [
        ("the packaged reranker", 1.2, None),
        ("a ModernBERT of 17 million parameters", 1.0, shape_named(MODERN)),
        ("an XLM-RoBERTa base", 1.0, XLM_ROBERTA_BASE),
        ("a ModernBERT of 150 million parameters", 0.8, shape_named(LARGER)),
    ]
    if card.is_small:
        del rerankers[-1]  # where all models are tiny it is the other ModernBERT again
    races = [Part(name, weight, least, partial(rerank, card, shape)) for name, weight, shape in rerankers]
    return [
        Part("the dense leg", 1.2, least, partial(dense, card.device, small=card.is_small)),
        races[0],
        Part("the packaged embedder", 1.0, least, partial(embed, card)),
        *races[1:],
    ]


def _limits(device: str, *, small: bool) -> dict[str, float]:
    """What the card does at most, as measured."""
    half = "float32" if device == "cpu" else "float16"
    limits = {"half precision, TFLOP/s": matrix_rate(half, device=device) / 1e12}
    if small:
        return limits
    limits["single precision, TFLOP/s"] = matrix_rate("float32", device=device) / 1e12
    limits["memory, GB/s"] = memory_bandwidth(device=device) / 1e9
    limits["copies to it, GB/s"] = copy_rate(device) / 1e9
    return limits


if __name__ == "__main__":
    main()
