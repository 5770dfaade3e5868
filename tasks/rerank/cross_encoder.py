"""A cross-encoder that runs here: pairs in, scores out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.tasks.models.batches import batches_by_budget, halving_on_memory
from nightrank.tasks.models.files import load_quietly, resolve_batch_tokens
from nightrank.tasks.rerank.packaged import load_reranker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.rerank.plan import RerankerPlan


class Reranker:
    """A loaded cross-encoder with one output.

    Args:
        plan: What to load.
        batch_tokens: Token budget of a batch, or None for what suits the device.
        threads: CPU threads, or None for torch's own choice.

    Raises:
        InputError: The folder holds no cross-encoder with one output.
    """

    def __init__(self, plan: RerankerPlan, *, batch_tokens: int | None = None, threads: int | None = None) -> None:
        import torch

        from nightrank.tasks.models.packed import packed_scorer  # it imports torch

        load_quietly()
        if threads is not None:
            torch.set_num_threads(threads)
        model = load_cross_encoder(plan)
        if plan.max_tokens is not None:
            model.max_seq_length = plan.max_tokens
        model.model.to(getattr(torch, plan.precision))
        model.eval()
        if model.num_labels != 1:
            message = f"The reranker in {plan.folder} has {model.num_labels} outputs, expected one."
            raise InputError(message, remedy="Use a cross-encoder trained for ranking.")
        self.plan = plan
        self.max_tokens: int = model.max_seq_length or 512
        self._identity = torch.nn.Identity()
        self._batch_tokens = resolve_batch_tokens(batch_tokens, device=plan.device)
        self._packed = packed_scorer(model, batch_tokens=self._batch_tokens)
        self._model = model if self._packed is None else None  # whose weights are not kept twice

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        """Raw scores (logits) of pairs; higher is more relevant.

        Args:
            queries: (n,) normalised queries.
            texts: (n,) what models read of the chunks.
            lengths: int (n,), the texts' tokens, to batch by where the model's own tokens are not counted first.

        Returns:
            float32 (n,).
        """
        if self._packed is not None:
            return self._packed.score(queries, texts, batch_tokens=self._batch_tokens)
        scores = np.empty(len(queries), dtype=np.float32)
        pair_lengths = np.minimum(lengths + np.array([len(query) // 4 + 3 for query in queries]), self.max_tokens)
        for batch in batches_by_budget(pair_lengths, budget=self._batch_tokens):
            for rows, found in halving_on_memory(
                lambda rows: self._predict([(queries[row], texts[row]) for row in rows]), batch
            ):
                scores[rows] = found
        return scores

    def _predict(self, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        assert self._model is not None  # pairs come here only where it is needed
        scores: NDArray[np.float32] = self._model.predict(
            pairs,
            batch_size=len(pairs),
            activation_fn=self._identity,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return scores.astype(np.float32, copy=False)


def about_tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """About how many tokens texts have, int64 (n,), where nobody counted: to make batches by."""
    return np.array([len(text) // 4 + 1 for text in texts], dtype=np.int64)


def load_cross_encoder(plan: RerankerPlan) -> Any:  # noqa: ANN401 (its network's type differs from model to model)
    """The model of a plan, as sentence-transformers knows it.

    Raises:
        InputError: The folder holds no cross-encoder.
    """
    from sentence_transformers import CrossEncoder

    if plan.has_card:
        return load_reranker(plan.folder, device=plan.device)
    try:
        return CrossEncoder(
            str(plan.folder),
            device=plan.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError) as error:
        message = f"{plan.folder} holds no cross-encoder that sentence-transformers can read: {error}"
        raise InputError(message, remedy="Give the folder or the id of a cross-encoder.") from error
