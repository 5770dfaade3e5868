"""What does a night cost with another model? By the operations of public models, or raced against the packaged ones.

    python -m benchmarks.model_costs [--race NAME ... --data FOLDER] [--amount N]

A model costs as many times what the packaged one costs as it has operations (multiplications and additions) for the
same pairs or chunks; the packaged one's time is that which `rerank_speed` and `embed_speed` measured, and lengths are
those of their pairs and chunks. With `--race` a model of the same shape is made, with random weights, since speed does
not depend on them, and takes turns with the packaged one, by the night's own code on a processor in float32: then its
cost is the measured ratio.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.lengths import described
from benchmarks.inputs.mixed_texts import candidates_of, mixed_chunks
from benchmarks.inputs.model_shapes import PACKAGED, SHAPES, Shape, save_random
from benchmarks.parts.race import race
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.models.files import PACKAGED_EMBEDDER
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.rerank.packaged import base_folder
from nightrank.tasks.settings.index import EmbedderSettings, SparseSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from nightrank.tasks.sparse.encoder import SparseEncoder, plan_sparse

if TYPE_CHECKING:
    from collections.abc import Callable

PAIRS_PER_SECOND, CHUNKS_PER_SECOND = 96.0, 99.0  # of the packaged models: rerank_speed --small, embed_speed --small
# Tokens of the pairs and chunks that these race on, at the 10th, 50th and 90th percentile.
PAIR_LENGTHS, CHUNK_LENGTHS = np.array([34, 54, 116]), np.array([24, 31, 99])
CHUNKS, PAIRS = 10_000, 100_000  # of a first night: 1,000 queries, the first 100 of each
CHUNKS_CHANGED, PAIRS_CHANGED = 0.005, 0.009  # where 1 % of the documents changed: benchmarks.churn
PACKAGED_RERANKER = "nightrank-minilm"
CPU = ExecutionSettings(device="cpu")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs.

    Attributes:
        raced: Whether it was run.
        times: As long as the packaged model takes: by operations, or the median of the rounds.
        low: The least of the rounds.
        high: The most of them.
        operations: In relation to the packaged model's.
        first_night_seconds: Of its own work alone.
        changed_seconds: The same where 1 % of the documents changed.
    """

    name: str
    kind: str
    raced: bool
    times: float
    low: float
    high: float
    operations: float
    first_night_seconds: float
    changed_seconds: float


@dataclass(frozen=True, slots=True)
class Texts:
    """What is computed: the texts, with queries where they are pairs, and their tokens."""

    queries: list[str]
    texts: list[str]
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]]


def cost(shape: Shape, ratios: tuple[float, ...] = ()) -> Cost:
    """The cost of a model.

    Args:
        shape: The model.
        ratios: How many times as long as the packaged model it took, round by round; empty where it was not run.

    >>> found = cost(PACKAGED, (1.0, 2.0, 4.0))
    >>> found.times, found.operations, round(found.first_night_seconds), round(found.changed_seconds, 2)
    (2.0, 1.0, 2083, 18.75)
    """
    reranks = shape.kind == "reranker"
    lengths = PAIR_LENGTHS if reranks else CHUNK_LENGTHS
    operations = shape.operations(lengths) / PACKAGED.operations(lengths)
    times = median(ratios) if ratios else operations
    whole = PAIRS / PAIRS_PER_SECOND if reranks else CHUNKS / CHUNKS_PER_SECOND
    return Cost(
        name=shape.name,
        kind=shape.kind,
        raced=bool(ratios),
        times=times,
        low=min(ratios, default=times),
        high=max(ratios, default=times),
        operations=operations,
        first_night_seconds=times * whole,
        changed_seconds=times * whole * (PAIRS_CHANGED if reranks else CHUNKS_CHANGED),
    )


def raced(shape: Shape, texts: Texts, *, work: Path, rounds: int, threads: int) -> tuple[float, ...]:
    """How many times as long as the packaged model a model of a shape takes, round by round."""
    folder = work / shape.name.rpartition("/")[2]
    shutil.rmtree(folder, ignore_errors=True)
    save_random(shape, folder)
    try:
        own = (
            _reranker("nightrank-minilm", texts, threads)
            if texts.queries
            else _embedder(PACKAGED_EMBEDDER, texts, threads)
        )
        it = RUNNERS[shape.kind](str(folder), texts, threads)
        laps = race({"own": own, "it": it}, rounds=rounds)
    finally:
        shutil.rmtree(folder)
    return laps["own"].times_faster(laps["it"])


def _reranker(model: str, texts: Texts, threads: int) -> Callable[[], object]:
    plan = plan_local(RerankerSettings(model=model), CPU, base=Path())
    reranker = Reranker(plan, threads=threads)
    return lambda: reranker.score(texts.queries, texts.texts, texts.lengths)


def _embedder(model: str, texts: Texts, threads: int) -> Callable[[], object]:
    embedder = Embedder(plan_embedder(EmbedderSettings(model=model), CPU, base=Path()), threads=threads)
    return lambda: embedder.embed_passages(texts.texts)


def _sparse(model: str, texts: Texts, threads: int) -> Callable[[], object]:
    encoder = SparseEncoder(plan_sparse(SparseSettings(model=model), CPU, base=Path()), threads=threads)
    return lambda: encoder.encode_passages(texts.texts)


RUNNERS = {"reranker": _reranker, "embedder": _embedder, "sparse": _sparse}


def _texts(data: Path, *, amount: int) -> dict[str, Texts]:
    """By kind of model: pairs, and chunks."""
    count = load_token_counter(base_folder())
    chunks = mixed_chunks(data, tokenizer=base_folder(), documents=10 * amount)
    groups = candidates_of(data, chunks, queries=max(1, amount // 20), depth=10)
    pairs = [(group.query, text) for group in groups for text in group.texts][:amount]
    queries, texts = [query for query, _ in pairs], [text for _, text in pairs]
    lengths = np.array(count(queries)) + np.array(count(texts))
    every = [text for own in chunks.values() for text in own]
    drawn = [every[row] for row in np.random.default_rng(0).permutation(len(every))[:amount]]
    embedded = Texts([], drawn, np.array(count(drawn)))
    return {"reranker": Texts(queries, texts, lengths), "embedder": embedded, "sparse": embedded}


def main() -> None:
    """Print what a night costs with each model."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of BEIR folders")
    command.add_argument("--race", nargs="*", default=[], help="parts of the names of models that are run")
    command.add_argument("--work", type=Path, default=Path(".benchmarks"), help="where these are made and removed")
    command.add_argument("--amount", type=int, default=40, help="pairs, or chunks, of a lap")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--json", action="store_true")
    options = command.parse_args()
    by_kind = _texts(options.data, amount=options.amount) if options.race else {}
    costs = []
    for shape in SHAPES:
        ratios: tuple[float, ...] = ()
        if any(part in shape.name for part in options.race):
            texts = by_kind[shape.kind]
            ratios = raced(shape, texts, work=options.work, rounds=options.rounds, threads=options.threads)
        costs.append(cost(shape, ratios))
    if options.json:
        print(json.dumps([asdict(one) for one in costs], indent=2))
        return
    for kind, texts in by_kind.items():
        print(f"{kind}: raced on {len(texts.texts)} of {described(texts.lengths)}")
    table = Table("model", "operations", "raced", "first night", "1 % changed")
    for one in costs:
        spread = f"{one.times:.1f} ({one.low:.1f} to {one.high:.1f})" if one.raced else ""
        seconds = (f"{value / 60:,.1f} min" for value in (one.first_night_seconds, one.changed_seconds))
        table.add_row(one.name, f"{one.operations:.2f}", spread, *seconds)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
