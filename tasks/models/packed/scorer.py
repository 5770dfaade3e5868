"""Cross-encoders of sentence-transformers, run over packed tokens.

A model is taken over only where it computes what sentence-transformers computes: its parts are of known types, and a
few probes come out the same at loading. Any other model is left to the library's own ``predict``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nightrank.tasks.models.packed.encoders import packed_encoder
from nightrank.tasks.models.packed.heads import head_of
from nightrank.tasks.models.packed.probes import (
    EXPECTED,
    FAR_PROBE,
    PROBES,
    long_probe,
    packed_batches,
    require_same,
    require_same_tokens,
    row_tokenizer,
)
from nightrank.tasks.models.packed.sequences import mean_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.tokens import PackedTokens, TokenRows

logger = logging.getLogger(__name__)


class PackedScorer:
    """A cross-encoder of one raw score a pair.

    Args:
        model: A cross-encoder of sentence-transformers, on its device, in its precision.
        execution: How pairs are computed.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        self._head = head_of(model)
        self._encoder = packed_encoder(self._head.network, first_only=not self._head.takes_mean)
        self._tokenizer = row_tokenizer(model)
        self._execution = execution

    def tokens_of(self, pairs: Sequence[tuple[str, str]]) -> TokenRows:
        """Rows of pairs (n,)."""
        return self._tokenizer.pairs([query for query, _ in pairs], [text for _, text in pairs])

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,)."""
        rows = self._tokenizer.pairs(queries, texts)
        scores = np.empty(len(queries), dtype=np.float32)
        # Nothing is fetched before all is asked for: the next batch is made while the device computes.
        asked = list(self._execution.run(rows.lengths, lambda batches: self._scores(packed_batches(rows, batches))))
        for places, found in asked:
            scores[places] = found.cpu().numpy()
        return scores

    @torch.inference_mode()
    def _scores(self, batches: Sequence[PackedTokens]) -> Tensor:
        """Float32 (n,), on the device."""
        found = []
        for tokens, states in zip(batches, self._encoder.states(batches), strict=True):
            taken = mean_of_each(states, tokens.lengths).to(states.dtype) if self._head.takes_mean else states
            found.append(self._head.score(taken)[:, 0].float())
        return torch.cat(found)


def packed_scorer(model: Any, execution: Execution) -> PackedScorer | None:  # noqa: ANN401
    """A cross-encoder over packed tokens; None where it must be left to sentence-transformers."""
    pairs = [*((query, text) for query in PROBES for text in PROBES), (PROBES[-1], FAR_PROBE)]
    try:
        scorer = PackedScorer(model, execution)
        long = long_probe(model)
        require_same_tokens(model, scorer.tokens_of, [*pairs, (PROBES[-1], long), (long, PROBES[-1])])
        found = scorer.score([query for query, _ in pairs], [text for _, text in pairs])
        require_same(model, found, model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False))
    except EXPECTED as error:
        logger.info("Scored by sentence-transformers' own predict: %s", error)
        return None
    return scorer
