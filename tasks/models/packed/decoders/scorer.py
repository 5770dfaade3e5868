"""Rerankers that are decoders, run over packed tokens: the last token's state makes the score.

What all pairs of a query begin with, instruction and query, is computed once, and all its passages go on from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nightrank.tasks.models.packed.decoders.network import PackedDecoder
from nightrank.tasks.models.packed.decoders.pairs import NOTHING, PairRows, packed, pair_tokenizer
from nightrank.tasks.models.packed.heads import last_head_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.packed.decoders.continued import Prefix
    from nightrank.tasks.models.tokens import PackedTokens

HELD_BYTES = 256_000_000  # of prefixes' keys and values at a time, unless one alone takes more


class DecoderScorer:
    """A reranker of one raw score a pair, made of a decoder.

    Args:
        model: A cross-encoder of sentence-transformers, on its device, in its precision.
        execution: How pairs are computed.

    Raises:
        ValueError: Its parts are of other types than are known.
    """

    def __init__(self, model: Any, execution: Execution) -> None:  # noqa: ANN401 (its type differs from model to model)
        network, self._padding, self._head = last_head_of(model)
        self._decoder = PackedDecoder(network, longest=model.max_seq_length)
        self._tokenizer = pair_tokenizer(model)
        self._execution = execution

    def tokens_of(self, pairs: Sequence[tuple[str, str]]) -> PairRows:
        """Rows of pairs (n,)."""
        return self._tokenizer.pairs([query for query, _ in pairs], [text for _, text in pairs])

    def score(self, queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,)."""
        rows = self._read(self._tokenizer.pairs(queries, texts))
        sizes = np.array([prefix.size for prefix in rows.prefixes], dtype=np.int64)
        blocks = (np.cumsum(sizes) - sizes) * self._decoder.bytes_per_token // HELD_BYTES
        of_pairs = np.append(blocks, 0)[rows.queries]
        asked: list[tuple[NDArray[np.intp], Tensor]] = []
        for block in np.unique(of_pairs):
            asked += self._scored(rows, np.flatnonzero(of_pairs == block))
        scores = np.empty(len(queries), dtype=np.float32)
        for places, found in asked:
            scores[places] = found.cpu().numpy()
        return scores

    def _read(self, rows: PairRows) -> PairRows:
        """The same without tokens at the end that a head passes over: no other token sees them."""
        if self._padding is None:
            return rows
        read = [np.append(0, np.flatnonzero(ids != self._padding))[-1] + 1 for ids in rows.ids]
        return PairRows.of(
            [ids[:length] for ids, length in zip(rows.ids, read, strict=True)], rows.prefixes, rows.queries
        )

    def _scored(self, rows: PairRows, pairs: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
        """Which pairs, of some, int (m,), were scored together, and their scores, float32 (m,), on the device."""
        numbers = np.setdiff1d(rows.queries[pairs], [NOTHING])
        texts = [rows.prefixes[number] for number in numbers]
        prefixes: dict[int, Prefix | None] = {NOTHING: None}
        lengths = np.array([ids.size for ids in texts], dtype=np.int64)
        for places, found in self._execution.run(lengths, lambda batches: self._prefixes(texts, batches)):
            prefixes.update(zip(numbers[places].tolist(), found, strict=True))

        def scores(batches: Sequence[NDArray[np.intp]]) -> Tensor:
            behind = [[prefixes[query] for query in rows.queries[pairs[batch]].tolist()] for batch in batches]
            return self._scores([rows.rests(pairs[batch]) for batch in batches], behind)

        for places, scored in self._execution.run(rows.lengths[pairs], scores):
            yield pairs[places], scored

    @torch.inference_mode()
    def _prefixes(self, texts: Sequence[NDArray[np.int64]], batches: Sequence[NDArray[np.intp]]) -> list[Prefix]:
        return self._decoder.prefixes([packed([texts[place] for place in batch]) for batch in batches])

    @torch.inference_mode()
    def _scores(self, batches: Sequence[PackedTokens], behind: Sequence[Sequence[Prefix | None]]) -> Tensor:
        """Float32 (n,), on the device."""
        states = self._decoder.last_states(batches, behind)
        return torch.cat([self._head(each)[:, 0].float() for each in states])
