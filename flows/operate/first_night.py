"""How long the first night will take here: measured on a few texts and pairs of the collection, by its own models.

Chunks and pairs are most of a first night. Their number is known, or nearly: chunks by those of a sample's characters,
pairs at most by the queries and the depth. What stages besides take is not in it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.files.parquet import stream_rows
from nightrank.storage.release.documents import document_of
from nightrank.tasks.chunk.boundaries import chunk_document
from nightrank.tasks.embed.encoder import Embedder
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.rerank.cross_encoder import about_tokens
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.rerank.lazy import LazyReranker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nightrank.storage.records import Document
    from nightrank.storage.release.files import Documents, Queries
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.whole import Settings

SAMPLE = 100  # documents, spread over the collection
SECONDS = 3.0  # that each model is measured
AT_ONCE = 16  # texts or pairs
PAIRS_ON_A_GPU = (3237, 7517)
"""A second on an H100, as the authors of ettin-reranker report of models of 150 and 17 million parameters."""


@dataclass(frozen=True, slots=True)
class FirstNight:
    """An estimate.

    Attributes:
        chunks: Of the collection, about.
        chunks_per_second: As measured; None where nothing is embedded.
        pairs: At most.
        pairs_per_second: As measured; None where nothing is scored here.
        seconds: Of embedding and scoring.
        gpu_seconds: Of scoring on a large GPU, by published rates of models of such sizes.
    """

    chunks: int
    chunks_per_second: float | None
    pairs: int
    pairs_per_second: float | None
    seconds: float
    gpu_seconds: float


class ModelsToMeasure(NamedTuple):
    """The models of a night that run here; None where there is no such one."""

    embedder: EmbedderPlan
    reranker: RerankerPlan | HostedPlan | None


def estimate_first_night(
    settings: Settings, documents: Documents, queries: Queries, models: ModelsToMeasure, *, characters: int
) -> FirstNight:
    """Measure for some seconds, and say what that makes of all there is.

    Args:
        settings: What a night computes.
        documents: All of them.
        queries: The chosen ones.
        models: Those of the settings.
        characters: Of all texts.
    """
    sample = _sample(documents)
    count_tokens = load_token_counter(models.embedder.files.folder)
    texts = [
        chunk.text
        for document in sample
        for chunk in chunk_document(document, settings=settings.chunking, count_tokens=count_tokens)
    ]
    looked_at = sum(len(document.text) for document in sample)
    chunks = round(len(texts) * max(characters, looked_at) / looked_at) if looked_at else documents.row_count()
    asked = queries.read(["text"]).column(0).to_pylist()[:AT_ONCE]
    embedding = _embedding_rate(settings, models.embedder, texts) if "dense" in settings.retrieval.own_legs else None
    scoring = _scoring_rate(settings, models.reranker, asked, texts)
    depth = min(settings.reranker.depth, settings.retrieval.candidate_depth)
    by_document = settings.results.unit == "document"
    candidates = min(depth, documents.row_count() if by_document else chunks)
    pairs = 0 if scoring is None else queries.read(["query_key"]).num_rows * candidates
    seconds = (chunks / embedding if embedding else 0.0) + (pairs / scoring if scoring else 0.0)
    return FirstNight(chunks, embedding, pairs, scoring, seconds, pairs / PAIRS_ON_A_GPU[0])


def _sample(documents: Documents) -> list[Document]:
    step = max(1, documents.row_count() // SAMPLE)
    rows = (row for number, row in enumerate(stream_rows(documents.path)) if number % step == 0)
    return [document_of(row) for row in rows]


def _embedding_rate(settings: Settings, plan: EmbedderPlan, texts: Sequence[str]) -> float:
    execution = settings.execution
    embedder = Embedder(plan, batch_tokens=execution.batch_tokens, threads=execution.threads)
    return _rate(embedder.embed_passages, texts)


def _scoring_rate(
    settings: Settings, plan: RerankerPlan | HostedPlan | None, queries: Sequence[str], texts: Sequence[str]
) -> float | None:
    """None where none is asked, or a provider is, whose pace is its own and whose pairs cost money."""
    if plan is None or isinstance(plan, HostedPlan):
        return None
    reranker = LazyReranker(plan, settings).load()
    in_turn = cycle(queries)

    def score(some: Sequence[str]) -> object:
        asked = [next(in_turn)] * len(some)  # as of a night: a query's pairs stand together
        return reranker.score(asked, some, about_tokens([f"{q} {text}" for q, text in zip(asked, some, strict=True)]))

    return _rate(score, texts)


def _rate(work: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Texts a second, after a first few that warm up."""
    work(texts[:1])
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        first = done % len(texts)
        some = texts[first : first + AT_ONCE]
        work(some)
        done += len(some)
        if done >= len(texts) and done >= 10 * AT_ONCE:
            break
    return done / max(time.perf_counter() - start, 1e-6)
