"""The models that a server keeps loaded: those that the release it serves was made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nightrank.storage.errors import InputError
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.online.pace import Speed
from nightrank.tasks.rerank.find import plan_reranker
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.sparse.encoder import SparseEncoder
from nightrank.tasks.sparse.stored import planned_sparse

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.release.manifest import Inputs
    from nightrank.tasks.rerank.lazy import LoadedReranker
    from nightrank.tasks.settings.whole import Settings


class _Plan(Protocol):
    @property
    def fingerprint(self) -> str: ...


class _Planned(Protocol):
    @property
    def plan(self) -> _Plan: ...


@dataclass(frozen=True, slots=True, eq=False)
class OnlineModels:
    """Loaded models; threads may share them.

    Attributes:
        embedder: Of the dense leg.
        sparse: Of the sparse leg; None where there is none of our own.
        reranker: None where there is none, and in place of a hosted one, which would cost money for every visitor.
        speed: How long pairs take.
    """

    embedder: Embedder
    sparse: SparseEncoder | None = None
    reranker: LoadedReranker | None = None
    speed: Speed = field(default_factory=Speed)


def models_of(settings: Settings, made_with: Inputs, *, base: Path, loaded: OnlineModels | None) -> OnlineModels:
    """The models that a release was made with; those that are loaded already are taken.

    Args:
        settings: What the release was made with, with models as this machine knows them, and where they run.
        made_with: The release's digests.
        base: The folder that a model's path may be relative to.
        loaded: What is loaded.

    Raises:
        InputError: A model is not there, or is not the one that the release was made with.
    """
    execution = settings.execution
    batch_tokens, threads = execution.batch_tokens, execution.threads
    embedder = plan_embedder(settings.embedder, execution, base=base)
    _require(embedder, made_with.embedder, name=settings.embedder.model)
    sparse = planned_sparse(settings, base=base)
    _require(sparse, made_with.sparse, name=settings.sparse.model)
    reranker = plan_reranker(settings.reranker, execution, base=base)
    if isinstance(reranker, HostedPlan):
        reranker = None
    _require(reranker, made_with.reranker_fingerprint, name=settings.reranker.model)
    of_texts, of_tokens, of_pairs = (None,) * 3 if loaded is None else (loaded.embedder, loaded.sparse, loaded.reranker)
    if of_texts is None or not _is(of_texts, embedder):
        of_texts = Embedder(embedder, batch_tokens=batch_tokens, threads=threads)
    if sparse is None or not _is(of_tokens, sparse):
        of_tokens = None if sparse is None else SparseEncoder(sparse, batch_tokens=batch_tokens, threads=threads)
    if reranker is None or not _is(of_pairs, reranker):
        of_pairs = None if reranker is None else LazyReranker(reranker, settings).load()
    return OnlineModels(of_texts, of_tokens, of_pairs)


def _is(held: _Planned | None, plan: _Plan) -> bool:
    return held is not None and held.plan.fingerprint == plan.fingerprint


def _require(plan: _Plan | None, made_with: str, *, name: str) -> None:
    if plan is not None and plan.fingerprint != made_with:
        message = f"The model {name} is not as it was when the release was made, or in another precision or prompt."
        raise InputError(message, remedy="Restore it, or run `nightrank refresh` with the model that there is.")
