"""Token ids of texts and pairs, exactly as a model's own tokenizer makes them, each text tokenised once.

A pair is what its two texts are on their own, cut to fit and framed by special tokens. So a query that meets a hundred
chunks, and a chunk that meets a hundred queries, are tokenised once, and pairs are put together out of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

HELD_QUERIES = 65_536  # whose ids are kept from call to call: some 10 MB


@dataclass(frozen=True, slots=True)
class PackedTokens:
    """Sequences laid end to end.

    Attributes:
        ids: int64 (n_tokens,).
        types: int64 (n_tokens,), which text of a pair a token is of.
        lengths: int64 (n,), tokens of each sequence.
    """

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 (n,), where each sequence starts.

        >>> PackedTokens(np.arange(5), np.zeros(5), np.array([2, 3])).starts.tolist()
        [0, 2]
        """
        return np.cumsum(self.lengths) - self.lengths

    @property
    def positions(self) -> NDArray[np.int64]:
        """int64 (n_tokens,), the place of each token in its sequence.

        >>> PackedTokens(np.arange(5), np.zeros(5), np.array([2, 3])).positions.tolist()
        [0, 1, 0, 1, 2]
        """
        return _counted(self.lengths)


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens of a sequence.

    Attributes:
        tokens: Before the first text, between the texts, after the last.
        token_types: Theirs.
        text_types: Of each text's tokens.
    """

    tokens: tuple[NDArray[np.int64], ...]
    token_types: tuple[NDArray[np.int64], ...]
    text_types: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many special tokens there are."""
        return sum(part.size for part in self.tokens)


@dataclass(frozen=True, slots=True)
class Part:
    """The first, or the second, text of each sequence.

    Attributes:
        ids: int64 (n_tokens,), of the distinct texts, end to end.
        starts: int64 (n,), where a sequence's text starts.
        lengths: int64 (n,), how many of its tokens are kept.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Sequences that are not put together yet.

    Attributes:
        frame: Their special tokens.
        parts: Their texts; one, or two for pairs.
    """

    frame: Frame
    parts: tuple[Part, ...]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (n,), tokens of each sequence, special ones counted."""
        lengths: NDArray[np.int64] = np.sum([part.lengths for part in self.parts], axis=0) + self.frame.size
        return lengths

    def packed(self, rows: NDArray[np.intp]) -> PackedTokens:
        """Some of the sequences, end to end, in the order of ``rows`` int (n,)."""
        lengths = self.lengths[rows]
        at = np.cumsum(lengths) - lengths
        ids = np.empty(int(lengths.sum()), dtype=np.int64)
        types = np.empty_like(ids)
        for place, (special, special_types) in enumerate(zip(self.frame.tokens, self.frame.token_types, strict=True)):
            for token, token_type in zip(special, special_types, strict=True):
                ids[at], types[at] = token, token_type
                at = at + 1
            if place < len(self.parts):
                part = self.parts[place]
                kept = part.lengths[rows]
                within = _counted(kept)
                to = np.repeat(at, kept) + within
                ids[to] = part.ids[np.repeat(part.starts[rows], kept) + within]
                types[to] = self.frame.text_types[place]
                at = at + kept
        return PackedTokens(ids, types, lengths)


class RowTokenizer:
    """Makes token rows.

    Args:
        tokenizer: Of the package tokenizers; this changes it.
        max_tokens: Of a sequence; longer ones are cut as the tokenizer cuts them: a pair's longer text first.

    Raises:
        ValueError: It frames texts in another way than the usual.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._single = _frame_of(self._tokenizer.encode("a"), texts=1)
        self._pair = _frame_of(self._tokenizer.encode("a", "a"), texts=2)
        self._queries: dict[str, NDArray[np.int64]] = {}

    def texts(self, texts: Sequence[str]) -> TokenRows:
        """Rows of single texts (n,)."""
        unlike, numbers = distinct(texts)
        room = max(0, self._max_tokens - self._single.size)
        part = _part(self._ids(unlike), numbers)
        return TokenRows(self._single, (Part(part.ids, part.starts, np.minimum(part.lengths, room)),))

    def pairs(self, queries: Sequence[str], texts: Sequence[str]) -> TokenRows:
        """Rows of pairs (n,); queries are remembered from call to call."""
        distinct_queries, query_numbers = distinct(queries)
        distinct_texts, text_numbers = distinct(texts)
        if len(self._queries) + len(distinct_queries) > HELD_QUERIES:
            self._queries.clear()
        new = [query for query in distinct_queries if query not in self._queries]
        self._queries.update(zip(new, self._ids(new), strict=True))
        first = _part([self._queries[query] for query in distinct_queries], query_numbers)
        second = _part(self._ids(distinct_texts), text_numbers)
        kept = cut_longest_first(first.lengths, second.lengths, max(0, self._max_tokens - self._pair.size))
        return TokenRows(self._pair, (Part(first.ids, first.starts, kept[0]), Part(second.ids, second.starts, kept[1])))

    def _ids(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """The ids of each text, without special tokens."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int64) for one in encoded]


def fast_tokenizer(tokenizer: Any) -> Tokenizer:  # noqa: ANN401 (transformers leaves it untyped)
    """A copy of what a tokenizer of transformers runs.

    Raises:
        ValueError: It is not fast, or cuts at the start.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or tokenizer.truncation_side != "right":
        raise ValueError("Only fast tokenizers that cut at the end are known.")
    made: Tokenizer = Tokenizer.from_str(backend.to_str())
    made.encode_special_tokens = tokenizer.split_special_tokens  # which its file does not hold
    return made


def cut_longest_first(
    first: NDArray[np.int64], second: NDArray[np.int64], room: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many tokens of both texts of pairs are kept where pairs have room for so many: the longer is cut first.

    Args:
        first: int64 (n,), tokens of the first texts.
        second: int64 (n,), of the second.
        room: Tokens of a pair, special ones not counted.

    Returns:
        int64 (n,) and (n,). Where both must be cut they keep half each, the second text the odd one, unless
        the first is the longer of the two.

    >>> [kept.tolist() for kept in cut_longest_first(np.array([3, 3, 9, 9, 2]), np.array([4, 20, 3, 8, 2]), 9)]
    [[3, 3, 6, 5, 2], [4, 6, 3, 4, 2]]
    """
    shorter, longer = np.minimum(first, second), np.maximum(first, second)
    cut = np.where(shorter > room, shorter, np.maximum(shorter, room - shorter))
    is_half = shorter + cut > room
    kept_short = np.where(is_half, room // 2, shorter)
    kept_long = np.where(is_half, room // 2 + room % 2, np.minimum(cut, longer))
    is_whole = first + second <= room
    kept_short, kept_long = np.where(is_whole, shorter, kept_short), np.where(is_whole, longer, kept_long)
    is_swapped = first > second
    return np.where(is_swapped, kept_long, kept_short), np.where(is_swapped, kept_short, kept_long)


def _frame_of(encoded: Encoding, *, texts: int) -> Frame:
    """The special tokens around texts that were encoded with them."""
    owners = encoded.sequence_ids
    pieces: list[list[int]] = [[] for _ in range(texts + 1)]
    types: list[list[int]] = [[] for _ in range(texts + 1)]
    text_types: list[int | None] = [None] * texts
    place = 0
    for token, token_type, owner in zip(encoded.ids, encoded.type_ids, owners, strict=True):
        if owner is None:
            pieces[place].append(token)
            types[place].append(token_type)
        else:
            if text_types[owner] not in (None, token_type) or owner + 1 < place:
                raise ValueError("Its frame is not known.")
            text_types[owner], place = token_type, owner + 1
    if any(kind is None for kind in text_types):
        raise ValueError("Its frame is not known.")
    return Frame(
        tuple(np.array(piece, dtype=np.int64) for piece in pieces),
        tuple(np.array(piece, dtype=np.int64) for piece in types),
        tuple(kind for kind in text_types if kind is not None),
    )


def distinct(texts: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Each text once, and int (n,), which of them each is."""
    numbers: dict[str, int] = {}
    rows = np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.intp)
    return list(numbers), rows


def _part(ids: Sequence[NDArray[np.int64]], numbers: NDArray[np.intp]) -> Part:
    """Whole texts (n,) by their numbers int (n,) among the distinct ones."""
    lengths = np.array([one.size for one in ids], dtype=np.int64)
    flat = np.concatenate(ids) if ids else np.empty(0, dtype=np.int64)
    return Part(flat, (np.cumsum(lengths) - lengths)[numbers], lengths[numbers])


def _counted(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 to a length, for each length, end to end."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


class TokenCounter(Protocol):
    """Tokens of texts, as the embedder's tokenizer has them, special tokens left out."""

    def __call__(self, texts: Sequence[str], /) -> list[int]:
        """The number of tokens of each text, in order."""
        ...


def load_token_counter(model_folder: Path) -> TokenCounter:
    """Counts tokens with a model folder's ``tokenizer.json``.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    from tokenizers import Tokenizer

    path = model_folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise InputError(
            f"{path} cannot be read as a tokenizer: {error}.", remedy="Use a model that comes with a tokenizer.json."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: Sequence[str], /) -> list[int]:
        return [len(encoding) for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    return count
