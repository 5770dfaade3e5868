"""What races of models share: the peers, sentence-transformers' own ``predict`` and ``encode``, and what is claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.inputs.lengths import operations
from benchmarks.parts.claims import claim_of_rates
from nightrank.tasks.rerank.compare import agreement
from nightrank.tasks.rerank.cross_encoder import load_cross_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.parts.claims import Claim
    from benchmarks.parts.race import Laps
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.rerank.plan import RerankerPlan

PAIRS_COUNTED = 1024  # at a time, which is how many are padded to the longest of them


def cross_encoder_of(plan: RerankerPlan) -> Any:  # noqa: ANN401 (its network's type differs from model to model)
    """The reranker of a plan as sentence-transformers runs it, in the plan's precision."""
    import torch

    model = load_cross_encoder(plan)
    if plan.max_tokens is not None:
        model.max_seq_length = plan.max_tokens
    model.model.to(getattr(torch, plan.precision))
    return model


def predicting(model: Any, pairs: list[tuple[str, str]], size: int) -> Callable[[], NDArray[np.float32]]:  # noqa: ANN401
    """``CrossEncoder.predict`` of raw scores with so many pairs a batch."""
    import torch

    identity = torch.nn.Identity()

    def run() -> NDArray[np.float32]:
        scores: NDArray[np.float32] = model.predict(
            pairs, batch_size=size, activation_fn=identity, show_progress_bar=False, convert_to_numpy=True
        )
        return scores

    return run


def pair_lengths(model: Any, pairs: list[tuple[str, str]]) -> NDArray[np.int64]:  # noqa: ANN401
    """Tokens of pairs, int64 (n,), as the model cuts them off."""
    lengths = np.empty(len(pairs), dtype=np.int64)
    for first in range(0, len(pairs), PAIRS_COUNTED):
        masks = model.preprocess(pairs[first : first + PAIRS_COUNTED])["attention_mask"]
        lengths[first : first + PAIRS_COUNTED] = masks.sum(dim=1).cpu().numpy()
    return lengths


def rerank_claim(
    what: str,
    laps: tuple[Laps, Laps],
    scores: tuple[NDArray[np.float32], NDArray[np.float32]],
    *,
    lengths: NDArray[np.int64],
    query_numbers: NDArray[np.integer],
    network: Any,  # noqa: ANN401
    limit: float,
    target: float | None,
) -> Claim:
    """A claim of pairs a second.

    Args:
        what: Was done.
        laps: Ours and the peer's.
        scores: The same, of the same pairs.
        lengths: Of the pairs that were raced.
        query_numbers: Of the pairs that ``scores`` has.
        network: Of the peer's model.
        limit: Operations a second that the machine was measured to do.
        target: What the ratio must reach.
    """
    found, expected = scores
    is_decoder = "CausalLM" in type(network).__name__  # of which ours does what pairs share once
    done = None if is_decoder else operations(lengths, network, first_only=True)
    top = agreement(expected, found, queries=query_numbers).top
    return claim_of_rates(
        what,
        *laps,
        amount=lengths.size,
        unit="pairs/s",
        target=target,
        equal=f"largest difference of scores {np.abs(found - expected).max():.1e}; top 10 {top:.1%} the same",
        share_of_limit=None if done is None else done / laps[0].median / limit,
    )


def sentence_transformer_of(plan: EmbedderPlan) -> Any:  # noqa: ANN401 (its network's type differs from model to model)
    """The embedder of a plan as sentence-transformers runs it, in the plan's precision."""
    import torch
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        str(plan.files.folder),
        device=plan.device,
        local_files_only=True,
        model_kwargs={"use_safetensors": True, "dtype": getattr(torch, plan.precision)},
    )


def encoding(model: Any, texts: list[str], size: int) -> Callable[[], NDArray[np.float32]]:  # noqa: ANN401
    """``SentenceTransformer.encode`` of unit vectors with so many texts a batch."""

    def run() -> NDArray[np.float32]:
        vectors: NDArray[np.floating] = model.encode(
            texts, batch_size=size, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True
        )
        return vectors.astype(np.float32, copy=False)

    return run


def text_lengths(model: Any, texts: list[str]) -> NDArray[np.int64]:  # noqa: ANN401
    """Tokens of texts, int64 (n,), as the model cuts them off."""
    encoded = model.tokenizer(texts, truncation=True, max_length=model.max_seq_length)
    return np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int64)


def embed_claim(
    what: str,
    laps: tuple[Laps, Laps],
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    *,
    lengths: NDArray[np.int64],
    network: Any,  # noqa: ANN401
    limit: float,
    target: float | None,
) -> Claim:
    """A claim of chunks a second.

    Args:
        what: Was done.
        laps: Ours and the peer's.
        vectors: The same, of the same texts, float32 (n, dim).
        lengths: Of the texts that were raced.
        network: Of the peer's model.
        limit: Operations a second that the machine was measured to do.
        target: What the ratio must reach.
    """
    found, expected = vectors
    least = float((found * expected).sum(axis=1).min())
    return claim_of_rates(
        what,
        *laps,
        amount=lengths.size,
        unit="chunks/s",
        target=target,
        equal=f"least cosine {least:.7f}, largest difference {np.abs(found - expected).max():.1e}",
        share_of_limit=operations(lengths, network, first_only=False) / laps[0].median / limit,
    )
