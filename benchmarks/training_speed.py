"""How fast a reranker learns on a CPU, beside the same steps through transformers' own network.

    python -m benchmarks.training_speed [--small] [--data DIR]

Both compute the logits of the same pairs, a query's best passages by BM25, and the gradients of the same loss, with
one thread; transformers takes them in batches of eight of similar length, in single precision and in bfloat16.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.inputs.mixed_texts import candidates_of, mixed_chunks
from benchmarks.parts.claims import Claim, benchmark_parser, claim_of_rates, main_of
from benchmarks.parts.race import race
from nightrank.tasks.rerank.packaged import base_folder, network_of
from nightrank.tasks.train.reranker.base import load_base
from nightrank.tasks.train.reranker.learn import FROZEN

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from torch import Tensor

TARGET = 1.5
DEPTH, MAX_LENGTH, BATCH = 8, 128, 8


def main() -> None:
    """Print the claims; the exit code is 1 where the target is missed."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of BEIR folders")
    options = parser.parse_args()
    main_of(claims_of(options), options)


def claims_of(options: argparse.Namespace) -> list[Claim]:
    """Race, and say what came of it."""
    import torch

    from nightrank.tasks.train.reranker.forward import PairForward, training_precision

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    encoder = load_base(base_folder(), max_length=MAX_LENGTH, device="cpu", seed=1)
    network = network_of(encoder).train(mode=False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not any(part in name for part in FROZEN))
    chunks = mixed_chunks(options.data, tokenizer=base_folder(), documents=200)
    candidates = candidates_of(options.data, chunks, queries=4 if options.small else 16, depth=DEPTH)
    queries = [group.query for group in candidates for _ in group.texts]
    texts = [text for group in candidates for text in group.texts]
    forward = PairForward(network, encoder.tokenizer)

    def learn(logits_of: Callable[[], Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            network.zero_grad()
            logits = logits_of().view(-1, DEPTH)
            torch.log_softmax(logits, dim=1)[:, 0].mean().neg().backward()  # type: ignore[no-untyped-call]
            gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
            return torch.cat([gradient.flatten() for gradient in gradients])

        return run

    runners = {
        "transformers, float32": learn(lambda: _theirs(network, encoder.tokenizer, queries, texts, half=False)),
        "transformers, bfloat16": learn(lambda: _theirs(network, encoder.tokenizer, queries, texts, half=True)),
        "ours": learn(lambda: forward(queries, texts, max_lengths=[MAX_LENGTH] * len(texts))[0]),
    }
    laps = race(runners, rounds=options.rounds)
    peer = min((laps[name] for name in runners if name != "ours"), key=lambda one: one.median)
    alike = torch.nn.functional.cosine_similarity(runners["transformers, float32"](), runners["ours"](), dim=0).item()
    precision = str(training_precision(torch.device("cpu"))).removeprefix("torch.")
    return [
        claim_of_rates(
            f"train a reranker, one thread, products in {precision}, {len(texts)} pairs of {MAX_LENGTH} tokens at most",
            laps["ours"],
            peer,
            amount=len(texts),
            unit="pairs/s",
            target=TARGET,
            equal=f"cosine of the gradients to those in single precision {alike:.4f}",
        )
    ]


def _theirs(network: Any, tokenizer: Any, queries: Sequence[str], texts: Sequence[str], *, half: bool) -> Tensor:  # noqa: ANN401 - untyped
    import torch

    encoded = tokenizer(list(queries), list(texts), truncation="longest_first", max_length=MAX_LENGTH)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found: list[Tensor] = []
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = tokenizer.pad(
            {name: [values[row] for row in rows] for name, values in encoded.items()}, return_tensors="pt"
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            found.append(network(**batch).logits[:, 0].float())
    return torch.cat(found)[torch.tensor(order).argsort()]


if __name__ == "__main__":
    main()
