"""Dual encoders of sentence-transformers, run over packed tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from nightrank.tasks.models.packed.encoders import packed_encoder
from nightrank.tasks.models.packed.probes import (
    EXPECTED,
    FAR_PROBE,
    PROBES,
    long_probe,
    packed_batches,
    require_same,
    require_same_tokens,
    row_tokenizer,
    tell,
)
from nightrank.tasks.models.packed.sequences import mean_of_each
from nightrank.tasks.models.plain import unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.tokens import PackedTokens, TokenRows


class PackedEmbedder:
    """A dual encoder that takes the mean of its tokens' states, or the first.

    Args:
        model: A dual encoder of sentence-transformers, on its device, in its precision.
        execution: How texts are computed.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        kinds = [type(part).__name__ for part in model]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            raise ValueError(f"It is made of {', '.join(kinds)}.")
        if model[1].pooling_mode not in ("mean", "cls"):
            raise ValueError(f"It pools by {model[1].pooling_mode}.")
        self._takes_first = model[1].pooling_mode == "cls"
        self._encoder = packed_encoder(model[0].model, first_only=self._takes_first)
        self._tokenizer = row_tokenizer(model)
        self._execution = execution

    def tokens_of(self, texts: Sequence[str]) -> TokenRows:
        """Rows of texts (n,)."""
        return self._tokenizer.texts(texts)

    def embed(
        self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Unit vectors of texts, of any length.

        Args:
            texts: (n,).
            on_batch: Called with how many texts were done.

        Yields:
            Which texts, int (m,), and their vectors, float32 (m, dim).
        """
        rows = self._tokenizer.texts(texts)
        asked = []
        computed = self._execution.run(rows.lengths, lambda batches: self._vectors(packed_batches(rows, batches)))
        for places, found in computed:
            asked.append((places, found))
            on_batch(places.size)
        for places, found in asked:
            yield places, found.cpu().numpy()

    @torch.inference_mode()
    def _vectors(self, batches: Sequence[PackedTokens]) -> Tensor:
        """Float32 (n, dim), on the device."""
        found = []
        for tokens, states in zip(batches, self._encoder.states(batches), strict=True):
            pooled = states.float() if self._takes_first else mean_of_each(states, tokens.lengths)
            # Here and not in the model, whose half precision leaves lengths between 0.997 and 1.003.
            found.append(functional.normalize(pooled, dim=1))
        return torch.cat(found)


def packed_embedder(model: Any, execution: Execution) -> PackedEmbedder | None:  # noqa: ANN401
    """A dual encoder over packed tokens; None where it must be left to sentence-transformers."""
    probes = [*PROBES, FAR_PROBE]
    try:
        embedder = PackedEmbedder(model, execution)
        require_same_tokens(model, embedder.tokens_of, [*probes, long_probe(model)])
        expected = model.encode(probes, show_progress_bar=False).astype(np.float32)
        found = np.empty_like(expected)
        for places, vectors in embedder.embed(probes):
            found[places] = vectors
        # Some models make their vectors unit ones themselves; ours always are.
        require_same(model, found, unit(expected))
    except EXPECTED as error:
        tell("Texts are embedded by sentence-transformers' own encode", error)
        return None
    return embedder
