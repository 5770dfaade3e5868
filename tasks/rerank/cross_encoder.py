"""A cross-encoder that runs here: pairs in, scores out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.tasks.models.execution import execution_on
from nightrank.tasks.models.files import load_quietly, resolve_batch_tokens
from nightrank.tasks.rerank.packaged import load_reranker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.rerank.plan import RerankerPlan


class Reranker:
    """A loaded cross-encoder with one output.

    On a processor a pair's score is a function of the pair, whatever is scored beside it; on a GPU its last digits
    depend on its batch.

    Args:
        plan: What to load.
        batch_tokens: Token budget of a batch on a GPU, or None for what suits the device.
        threads: CPU threads, or None for torch's own choice.

    Raises:
        InputError: The folder holds no cross-encoder with one output, or one that can score no pair.
    """

    def __init__(self, plan: RerankerPlan, *, batch_tokens: int | None = None, threads: int | None = None) -> None:
        import torch

        from nightrank.tasks.models.packed.scorer import packed_scorer  # it imports torch
        from nightrank.tasks.models.plain import PlainScorer

        load_quietly()
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
        budget = resolve_batch_tokens(batch_tokens, device=plan.device)
        execution = execution_on(plan.device, batch_tokens=budget, threads=threads)
        self._packed = packed_scorer(model, execution)
        self._plain = PlainScorer(model, execution) if self._packed is None else None  # weights are not kept twice
        self._require_scores()

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        """Raw scores (logits) of pairs; higher is more relevant.

        Args:
            queries: (n,) normalised queries.
            texts: (n,) what models read of the chunks.
            lengths: int (n,), the texts' tokens, to go by where the model's own tokens are not counted first.

        Returns:
            float32 (n,).
        """
        if self._packed is not None:
            return self._packed.score(queries, texts)
        assert self._plain is not None  # one of both scores
        pair_lengths = np.minimum(lengths + np.array([len(query) // 4 + 3 for query in queries]), self.max_tokens)
        return self._plain.score(queries, texts, pair_lengths)

    def _require_scores(self) -> None:
        """See that what is left to its library, as it is, scores a pair: a chat template may have no place for one."""
        if self._plain is None:
            return
        try:
            self._plain.score(["a"], ["a"], np.array([3]))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            message = f"The reranker in {self.plan.folder} cannot score a pair: {error}"
            raise InputError(message, remedy="Use a cross-encoder trained for ranking.") from error


def about_tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """About how many tokens texts have, int64 (n,), where nobody counted: to make batches by."""
    return np.array([len(text) // 4 + 1 for text in texts], dtype=np.int64)


def load_cross_encoder(plan: RerankerPlan) -> Any:  # noqa: ANN401 (its network's type differs from model to model)
    """The model of a plan, with its prompt, as sentence-transformers knows it.

    Raises:
        InputError: The folder holds no cross-encoder.
    """
    model = load_reranker(plan.folder, device=plan.device) if plan.has_card else _loaded(plan)
    set_prompt(model, plan.prompt)
    return model


def set_prompt(model: Any, prompt: str | None) -> None:  # noqa: ANN401
    """Have a model of sentence-transformers be told something with each pair; None: what is its own."""
    if prompt is not None:
        model.prompts, model.default_prompt_name = {"query": prompt}, "query"


def _loaded(plan: RerankerPlan) -> Any:  # noqa: ANN401
    from sentence_transformers import CrossEncoder

    try:
        return CrossEncoder(
            str(plan.folder),
            device=plan.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError) as error:
        if (told := passing_failure(error, where=plan.folder)) is not None:
            raise told from error
        message = f"{plan.folder} holds no cross-encoder that sentence-transformers can read: {error}"
        raise InputError(message, remedy="Give the folder or the id of a cross-encoder.") from error
