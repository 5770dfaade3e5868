"""How fast pairs of mixed length are scored, beside sentence-transformers' ``CrossEncoder.predict``.

    python -m benchmarks.rerank_speed [--small] [--model NAME] [--shape NAME] [--queries N] [--device DEVICE]

Both score the same pairs with the same weights in the same precision: 256 tokens and shorter chunks of two real
collections, each query's best by BM25. ``predict`` runs with several batch sizes, and the fastest of them is the peer;
it sorts pairs by length itself. Where the packages for it are installed, a model of 8 bits is made once and races
too; its peer is the same ``predict`` in single precision. ``--shape`` takes a public model's shape with random weights,
where no hub is at hand.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.inputs.lengths import described
from benchmarks.inputs.mixed_texts import candidates_of, mixed_chunks
from benchmarks.inputs.model_shapes import SHAPES, TINY_DECODER, save_random
from benchmarks.parts.claims import Claim, benchmark_parser, claim_of_rates, main_of
from benchmarks.parts.machine import matrix_rate
from benchmarks.parts.model_races import cross_encoder_of, pair_lengths, predicting, rerank_claim
from benchmarks.parts.race import race
from nightrank.tasks.rerank.compare import agreement
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.parts.race import Laps
    from nightrank.tasks.rerank.plan import RerankerPlan

TARGETS = {"cpu": 1.5, "cuda": 3.0}
INT8_TARGET, TOP_TARGET = 2.5, 0.98
BATCH_SIZES = {"cpu": (8, 16, 32), "cuda": (32, 128, 512)}
DEPTH = 20


def main() -> None:
    """Print the claims; the exit code is 1 where a target is missed."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of BEIR folders")
    parser.add_argument("--model", default="nightrank-minilm", help="a name, a folder or a hub id")
    shapes = {shape.name: shape for shape in (*SHAPES, TINY_DECODER) if shape.kind == "reranker"}
    parser.add_argument("--shape", choices=[*shapes])
    parser.add_argument("--queries", type=int, help="of each collection; default: 30, or 10 with --small")
    parser.add_argument("--device", default="auto", help="as in the settings")
    parser.add_argument("--batch-tokens", type=int, help="as in the settings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.shape is not None:
            options.model = str(save_random(shapes[options.shape], Path(folder) / "model"))
        main_of(claims_of(options), options)


def claims_of(options: argparse.Namespace) -> list[Claim]:
    """Race, and say what came of it."""
    settings = RerankerSettings(model=options.model)
    plan = plan_local(settings, ExecutionSettings(device=options.device), base=Path())
    device = plan.device.partition(":")[0]
    theirs = cross_encoder_of(plan)
    chunks = mixed_chunks(options.data, tokenizer=_tokenizer_folder(plan))
    asked = options.queries or (10 if options.small else 30)
    candidates = candidates_of(options.data, chunks, queries=asked, depth=DEPTH)
    pairs = [(group.query, text) for group in candidates for text in group.texts]
    queries, texts = [query for query, _ in pairs], [text for _, text in pairs]
    numbers = np.repeat(np.arange(len(candidates)), [len(group.texts) for group in candidates])
    lengths = pair_lengths(theirs, pairs)
    nothing = np.zeros(len(pairs), dtype=np.int64)  # our executor counts tokens itself

    ours = Reranker(plan, batch_tokens=options.batch_tokens)
    runners: dict[str, Callable[[], object]] = {
        f"predict, {size} a batch": predicting(theirs, pairs, size) for size in BATCH_SIZES[device]
    }
    peers = list(runners)
    runners["ours"] = lambda: ours.score(queries, texts, nothing)
    int8 = _int8(plan, options) if device == "cpu" and options.shape is None else None
    if int8 is not None:
        runners["ours, 8 bits"] = lambda: int8.score(queries, texts, nothing)
    laps = race(runners, rounds=options.rounds)
    peer = min((laps[name] for name in peers), key=lambda one: one.median)

    expected = predicting(theirs, pairs, 32)()
    found = ours.score(queries, texts, nothing)
    claims = [
        rerank_claim(
            f"rerank on {device} in {plan.precision}, {len(pairs)} pairs of {described(lengths)}",
            (laps["ours"], peer),
            (found, expected),
            lengths=lengths,
            query_numbers=numbers,
            network=theirs.model,
            limit=matrix_rate("float32" if device == "cpu" else "bfloat16", device=plan.device),
            target=TARGETS[device],
        )
    ]
    if int8 is not None:
        claims += _int8_claims(laps, peer, expected, int8.score(queries, texts, nothing), numbers)
    return claims


def _int8_claims(
    laps: dict[str, Laps],
    peer: Laps,
    expected: NDArray[np.float32],
    found: NDArray[np.float32],
    numbers: NDArray[np.intp],
) -> list[Claim]:
    agreed = agreement(expected, found, queries=numbers)
    same = (
        f"top 10 of {DEPTH} {agreed.top:.1%} the same, first {agreed.first:.0%}, correlation {agreed.correlation:.4f}"
    )
    fast = claim_of_rates(
        "rerank on cpu in 8 bits, the same pairs",
        laps["ours, 8 bits"],
        peer,
        amount=expected.size,
        unit="pairs/s",
        target=INT8_TARGET,
        equal=same,
    )
    right = Claim(
        claim=f"rerank in 8 bits, share of the top 10 of {DEPTH} that stay",
        peer=f"at least {TOP_TARGET:g}",
        ours=agreed.top,
        theirs=TOP_TARGET,
        unit="share",
        ratio=agreed.top / TOP_TARGET,
        target=1.0,
        spread="",
        share_of_limit=None,
        equal=same,
    )
    return [fast, right]


def _int8(plan: RerankerPlan, options: argparse.Namespace) -> Any:  # noqa: ANN401
    """The same reranker in 8 bits; None where the packages for it are not installed."""
    if find_spec("openvino") is None or find_spec("nncf") is None:
        print("Without openvino and nncf nothing is raced in 8 bits.")
        return None
    from nightrank.tasks.rerank.openvino import OpenvinoReranker
    from nightrank.tasks.rerank.openvino_convert import convert

    folder = options.work / "rerank_speed" / f"8-bits-{plan.fingerprint[:16]}"
    if not folder.exists():
        convert(plan, folder, name=options.model)
    made = plan_local(RerankerSettings(model=str(folder.resolve())), ExecutionSettings(device="cpu"), base=Path())
    return OpenvinoReranker(made, batch_tokens=options.batch_tokens)


def _tokenizer_folder(plan: RerankerPlan) -> Path:
    from nightrank.tasks.rerank.packaged import base_folder

    return base_folder() if plan.has_card else plan.folder


if __name__ == "__main__":
    main()
