"""Cross-encoders of sentence-transformers, run over packed tokens.

A model is taken over only where it computes what sentence-transformers computes: its parts are of known types, and a
few probes come out the same at loading. Any other model is left to the library's own ``predict``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nightrank.tasks.models.packed.decoders.network import KNOWN as DECODERS
from nightrank.tasks.models.packed.decoders.scorer import DecoderScorer
from nightrank.tasks.models.packed.encoders import packed_encoder
from nightrank.tasks.models.packed.heads import head_of
from nightrank.tasks.models.packed.probes import (
    EXPECTED,
    FAR_PROBE,
    PROBES,
    long_probe,
    packed_batches,
    prompt_of,
    require_same,
    require_same_tokens,
    row_tokenizer,
    tell,
)
from nightrank.tasks.models.packed.sequences import mean_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.tokens import PackedTokens, TokenRows


class PackedScorer:
    """A cross-encoder of one raw score a pair.

    Args:
        model: A cross-encoder of sentence-transformers, on its device, in its precision.
        execution: How pairs are computed.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        network, self._takes_mean, self._head = head_of(model)
        self._encoder = packed_encoder(network, first_only=not self._takes_mean)
        self._tokenizer = row_tokenizer(model)
        self._prompt = prompt_of(model)
        self._execution = execution

    def tokens_of(self, pairs: Sequence[tuple[str, str]]) -> TokenRows:
        """Rows of pairs (n,)."""
        return self._rows([query for query, _ in pairs], [text for _, text in pairs])

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,)."""
        rows = self._rows(queries, texts)
        scores = np.empty(len(queries), dtype=np.float32)
        # Nothing is fetched before all is asked for: the next batch is made while the device computes.
        asked = list(self._execution.run(rows.lengths, lambda batches: self._scores(packed_batches(rows, batches))))
        for places, found in asked:
            scores[places] = found.cpu().numpy()
        return scores

    def _rows(self, queries: Sequence[str], texts: Sequence[str]) -> TokenRows:
        return self._tokenizer.pairs([self._prompt + query for query in queries], texts)

    @torch.inference_mode()
    def _scores(self, batches: Sequence[PackedTokens]) -> Tensor:
        """Float32 (n,), on the device."""
        found = []
        for tokens, states in zip(batches, self._encoder.states(batches), strict=True):
            taken = mean_of_each(states, tokens.lengths).to(states.dtype) if self._takes_mean else states
            found.append(self._head(taken)[:, 0].float())
        return torch.cat(found)


def packed_scorer(model: Any, execution: Execution) -> PackedScorer | DecoderScorer | None:  # noqa: ANN401
    """A cross-encoder over packed tokens; None where it must be left to sentence-transformers."""
    pairs = [*((query, text) for query in PROBES for text in PROBES), (PROBES[-1], FAR_PROBE)]
    try:
        is_decoder = type(getattr(model[0].model, "model", None)).__name__ in DECODERS
        if is_decoder:
            pairs = [pair for pair in pairs if any(pair)]  # where nothing stands around them, two empty texts are none
        scorer = DecoderScorer(model, execution) if is_decoder else PackedScorer(model, execution)
        long = long_probe(model)
        asked = [*pairs, (PROBES[-1], long), (long, PROBES[-1])]
        require_same_tokens(model, scorer.tokens_of, asked, prompt=prompt_of(model))
        found = scorer.score([query for query, _ in pairs], [text for _, text in pairs])
        require_same(model, found, model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False))
    except EXPECTED as error:
        tell("Pairs are scored by sentence-transformers' own predict", error)
        return None
    return scorer
