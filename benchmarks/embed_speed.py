"""How fast chunks of mixed length are embedded, beside sentence-transformers' ``SentenceTransformer.encode``.

    python -m benchmarks.embed_speed [--small] [--model NAME] [--device DEVICE]

Both embed the same chunks of two real collections with the same weights in the same precision. ``encode`` runs with
several batch sizes, and the fastest of them is the peer; it sorts texts by length itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.inputs.lengths import described
from benchmarks.inputs.mixed_texts import mixed_chunks
from benchmarks.parts.claims import Claim, benchmark_parser, main_of
from benchmarks.parts.machine import matrix_rate
from benchmarks.parts.model_races import embed_claim, encoding, sentence_transformer_of, text_lengths
from benchmarks.parts.race import race
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.models.files import PACKAGED_EMBEDDER
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

TARGETS = {"cpu": 1.2, "cuda": 2.0}
BATCH_SIZES = {"cpu": (8, 16, 32), "cuda": (32, 128, 512)}


def main() -> None:
    """Print the claims; the exit code is 1 where a target is missed."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of BEIR folders")
    parser.add_argument("--model", default=PACKAGED_EMBEDDER, help="a folder or a hub id")
    parser.add_argument("--device", default="auto", help="as in the settings")
    parser.add_argument("--batch-tokens", type=int, help="as in the settings")
    options = parser.parse_args()
    main_of(claims_of(options), options)


def claims_of(options: argparse.Namespace) -> list[Claim]:
    """Race, and say what came of it."""
    plan = plan_embedder(EmbedderSettings(model=options.model), ExecutionSettings(device=options.device), base=Path())
    device = plan.device.partition(":")[0]
    theirs = sentence_transformer_of(plan)
    chunks = [text for own in mixed_chunks(options.data, tokenizer=plan.files.folder).values() for text in own]
    size = 300 if options.small else 1200
    texts = [chunks[row] for row in np.random.default_rng(0).permutation(len(chunks))[:size]]
    lengths = text_lengths(theirs, texts)

    ours = Embedder(plan, batch_tokens=options.batch_tokens)
    runners: dict[str, Callable[[], object]] = {
        f"encode, {count} a batch": encoding(theirs, texts, count) for count in BATCH_SIZES[device]
    }
    peers = list(runners)
    runners["ours"] = lambda: ours.embed_passages(texts)
    laps = race(runners, rounds=options.rounds)
    peer = min((laps[name] for name in peers), key=lambda one: one.median)

    found, expected = ours.embed_passages(texts), encoding(theirs, texts, 32)()
    return [
        embed_claim(
            f"embed on {device} in {plan.precision}, {len(texts)} chunks of {described(lengths)}",
            (laps["ours"], peer),
            (found, expected),
            lengths=lengths,
            network=theirs[0].model,
            limit=matrix_rate("float32" if device == "cpu" else "bfloat16", device=plan.device),
            target=TARGETS[device],
        )
    ]


if __name__ == "__main__":
    main()
