"""Tokens of pairs as decoders read them, and how many of them all pairs of a query begin with.

Rerankers that are language models are asked in words: an instruction, the query, the document, and how the answer
begins, by the tokenizer's chat template. What stands before the document is the same for all documents of a query. How
it is tokenised could depend on how the document begins, so every pair is looked at: one that begins otherwise goes on
from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nightrank.tasks.models.packed.probes import prompt_of, row_tokenizer
from nightrank.tasks.models.tokens import PackedTokens, distinct, fast_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.tokens import RowTokenizer

NOTHING = -1  # in place of a query's number
OPENINGS = ("a", "0", "-", "\n")  # how documents may begin; tokenizers join each kind with what is before in other ways
FILLERS = ("0", "1 2 3 4")  # in place of texts: what follows the last one is what both have at their end


@dataclass(frozen=True, slots=True)
class PairRows:
    """The tokens of pairs.

    Attributes:
        ids: int64 of each pair, whole.
        prefixes: int64 of each query: what its pairs begin with.
        queries: int (n,), whose prefix each pair begins with; ``NOTHING`` where it begins with none.
    """

    ids: list[NDArray[np.int64]]
    prefixes: list[NDArray[np.int64]]
    queries: NDArray[np.intp]

    @classmethod
    def of(cls, ids: list[NDArray[np.int64]], prefixes: list[NDArray[np.int64]], queries: NDArray[np.intp]) -> PairRows:
        """Those of pairs and of the queries whose they are, int (n,), or ``NOTHING``."""
        begins = [
            query != NOTHING and _begins_with(one, prefixes[query]) for one, query in zip(ids, queries, strict=True)
        ]
        return cls(ids, prefixes, np.where(np.array(begins, dtype=bool), queries, NOTHING))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (n,), tokens of each pair, whole: a pair of few own ones holds keys and values of all that it sees."""
        return np.array([ids.size for ids in self.ids], dtype=np.int64)

    def packed(self, rows: NDArray[np.intp]) -> PackedTokens:
        """Some of the pairs, whole, end to end, in the order of ``rows`` int (m,)."""
        return packed([self.ids[row] for row in rows])

    def rests(self, rows: NDArray[np.intp]) -> PackedTokens:
        """What follows the prefixes of some of the pairs, end to end, in the order of ``rows`` int (m,)."""
        return packed([self._rest(row) for row in rows])

    def _rest(self, row: int) -> NDArray[np.int64]:
        query = self.queries[row]
        return self.ids[row] if query == NOTHING else self.ids[row][self.prefixes[query].size :]


class PairTokenizer(Protocol):
    """Makes the tokens of pairs."""

    def pairs(self, queries: Sequence[str], texts: Sequence[str]) -> PairRows:
        """The tokens of pairs (n,)."""
        ...


def pair_tokenizer(model: Any) -> PairTokenizer:  # noqa: ANN401 (its type differs from model to model)
    """What makes the tokens of a cross-encoder of sentence-transformers that is made of a decoder.

    Raises:
        ValueError: It makes them in another way than is known.
    """
    transformer, prompt = model[0], prompt_of(model)
    if "message" in transformer.modality_config:
        return _TemplatePairs(transformer, prompt=prompt, max_tokens=model.max_seq_length)
    return _JoinedPairs(row_tokenizer(model), prompt=prompt, padding=model.tokenizer.pad_token_id or 0)


class _JoinedPairs:
    """Pairs whose two texts follow each other.

    Args:
        tokenizer: Of pairs.
        prompt: Before each query.
        padding: What is read where both texts are empty, of which the library makes what it makes of padding.
    """

    def __init__(self, tokenizer: RowTokenizer, *, prompt: str, padding: int) -> None:
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._nothing = np.array([padding], dtype=np.int64)

    def pairs(self, queries: Sequence[str], texts: Sequence[str]) -> PairRows:
        asked, numbers = distinct([self._prompt + query for query in queries])
        rows = self._tokenizer.pairs([asked[number] for number in numbers], texts)
        alone = self._tokenizer.pairs(asked, [""] * len(asked))
        shared = alone.frame.tokens[0].size + alone.parts[0].lengths
        whole = [
            tokens.ids[:length]
            for tokens, length in zip((alone.packed(np.array([row])) for row in range(len(asked))), shared, strict=True)
        ]
        ids = [rows.packed(np.array([row])).ids for row in range(len(texts))]
        return PairRows.of([one if one.size else self._nothing for one in ids], whole, numbers)


class _TemplatePairs:
    """Pairs in a chat template.

    Args:
        transformer: Of sentence-transformers.
        prompt: What the template is given as the system's message; empty for nothing.
        max_tokens: Of a pair. What is longer is cut, but for what the template puts behind the texts.

    Raises:
        ValueError: It fills its template in another way than is known.
    """

    def __init__(self, transformer: Any, *, prompt: str, max_tokens: int) -> None:  # noqa: ANN401
        if transformer.processor is not transformer.tokenizer or transformer.processing_kwargs:
            raise ValueError("It reads its inputs in a way of its own.")
        failure = transformer.input_formatter.pair_roles_failure()
        if failure is not None:
            raise ValueError(f"Its chat template cannot carry a query and a document: {failure}.")
        self._formatter, self._chat = transformer.input_formatter, transformer.tokenizer
        self._prompt, self._max_tokens = prompt, max_tokens
        self._tokenizer = fast_tokenizer(transformer.tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        one, other = self._ids([(filler, filler) for filler in FILLERS])
        count = _shared(one[::-1], other[::-1])
        self._ending = one[one.size - count :] if count < min(one.size, other.size) else one[:0]

    def pairs(self, queries: Sequence[str], texts: Sequence[str]) -> PairRows:
        asked, numbers = distinct(queries)
        opened = self._ids([(query, opening) for query in asked for opening in OPENINGS])
        prefixes = []
        for first, *others in zip(*[iter(opened)] * len(OPENINGS), strict=True):
            count = min(_shared(first, other) for other in others)
            prefixes.append(first[: max(0, count - 1)])  # one less, which a document could begin by changing
        ids = [self._cut(one) for one in self._ids(list(zip(queries, texts, strict=True)))]
        return PairRows.of(ids, prefixes, numbers)

    def _ids(self, pairs: list[tuple[str, str]]) -> list[NDArray[np.int64]]:
        """The ids of each pair, uncut; of many, the tokenizer makes several at a time."""
        _, filled = self._formatter.batch_to_message("text", {"text": pairs})
        messages = filled["message"]
        if self._prompt:
            messages = self._formatter.prepend_prompt_to_messages(messages, self._prompt)
        written: list[str] = self._chat.apply_chat_template(messages, tokenize=False) if messages else []
        encoded = self._tokenizer.encode_batch_fast(written, add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int64) for one in encoded]

    def _cut(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ids of a pair, cut as sentence-transformers cuts them."""
        if ids.size <= self._max_tokens:
            return ids
        ending = self._ending[max(0, self._ending.size - self._max_tokens) :]
        return np.concatenate([ids[: self._max_tokens - ending.size], ending])


def packed(sequences: Sequence[NDArray[np.int64]]) -> PackedTokens:
    """Sequences of ids, end to end."""
    lengths = np.array([one.size for one in sequences], dtype=np.int64)
    ids = np.concatenate(sequences)
    return PackedTokens(ids, np.zeros_like(ids), lengths)


def _begins_with(ids: NDArray[np.int64], prefix: NDArray[np.int64]) -> bool:
    """Whether ids go on from a prefix that holds something.

    >>> [_begins_with(np.array(ids), np.array([1, -2])) for ids in ([1, -2, 3], [1, -2], [1, 3, 3])]
    [True, False, False]
    """
    return 0 < prefix.size < ids.size and np.array_equal(ids[: prefix.size], prefix)


def _shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """How many ids both begin with.

    >>> _shared(np.array([1, -2, 3]), np.array([1, -2, 4, 5])), _shared(np.array([1]), np.array([1, 2]))
    (2, 1)
    """
    size = min(one.size, other.size)
    differing = np.flatnonzero(one[:size] != other[:size])
    return int(differing[0]) if differing.size else size
