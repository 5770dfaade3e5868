"""How fast chunks of mixed length are embedded, beside sentence-transformers' ``SentenceTransformer.encode``.

    python -m benchmarks.embed_speed [--small] [--model NAME] [--device DEVICE]

Both embed the same chunks of two real collections with the same weights in the same precision. ``encode`` runs with
several batch sizes, and the fastest of them is the peer; it sorts texts by length itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.claims import Claim, benchmark_parser, claim_of_rates, main_of
from benchmarks.machine import matrix_rate
from benchmarks.mixed_texts import described, mixed_chunks, operations
from benchmarks.race import race
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.models.files import PACKAGED_EMBEDDER
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nightrank.tasks.embed.encoder import EmbedderPlan

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
    theirs = _their_model(plan)
    chunks = [text for own in mixed_chunks(options.data, tokenizer=plan.files.folder).values() for text in own]
    size = 300 if options.small else 1200
    texts = [chunks[row] for row in np.random.default_rng(0).permutation(len(chunks))[:size]]
    encoded = theirs.tokenizer(texts, truncation=True, max_length=theirs.max_seq_length)
    lengths = np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int64)

    ours = Embedder(plan, batch_tokens=options.batch_tokens)
    runners: dict[str, Callable[[], object]] = {
        f"encode, {count} a batch": _encoding(theirs, texts, count) for count in BATCH_SIZES[device]
    }
    peers = list(runners)
    runners["ours"] = lambda: ours.embed_passages(texts)
    laps = race(runners, rounds=options.rounds)
    peer = min((laps[name] for name in peers), key=lambda one: one.median)

    found, expected = ours.embed_passages(texts), _encoding(theirs, texts, 32)()
    least = float((found * expected).sum(axis=1).min())
    limit = matrix_rate("float32" if device == "cpu" else "bfloat16", device=plan.device)
    done = operations(lengths, theirs[0].model, first_only=False)
    return [
        claim_of_rates(
            f"embed on {device} in {plan.precision}, {len(texts)} chunks of {described(lengths)}",
            laps["ours"],
            peer,
            amount=len(texts),
            unit="chunks/s",
            target=TARGETS[device],
            equal=f"least cosine {least:.7f}, largest difference {np.abs(found - expected).max():.1e}",
            share_of_limit=done / laps["ours"].median / limit,
        )
    ]


def _their_model(plan: EmbedderPlan) -> Any:  # noqa: ANN401 (its network's type differs from model to model)
    import torch
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        str(plan.files.folder),
        device=plan.device,
        local_files_only=True,
        model_kwargs={"use_safetensors": True, "dtype": getattr(torch, plan.precision)},
    )


def _encoding(model: Any, texts: list[str], size: int) -> Callable[[], NDArray[np.float32]]:  # noqa: ANN401
    def run() -> NDArray[np.float32]:
        vectors: NDArray[np.floating] = model.encode(
            texts, batch_size=size, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        )
        return vectors.astype(np.float32, copy=False)

    return run


if __name__ == "__main__":
    main()
