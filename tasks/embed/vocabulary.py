"""How much of some texts a model's vocabulary does not know, by its tokenizer.

Counted are characters: a whole sentence of Khmer can be one unknown token. Unknown is what is read as the unknown token
or as bare bytes, and what falls apart into single letters, four at least, in a script whose letters are no words; a
model saw hardly more of such words in training than their spelling.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Self

from nightrank.storage.errors import InputError
from nightrank.storage.places import read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokenizers import Encoding, Tokenizer

SAMPLE = 300
"""Texts that a share is taken of; which ones is decided by their keys."""
WARNED_SHARE = 0.1
SPELLED_OUT = 4  # letters of a word that count as unknown where each is a token of its own

# Letters, marks, and the joiners that some scripts write between them.
_LETTERS = re.compile("(?:[^\\W\\d_]|[\u0300-\u036f\u0900-\u1cff\u064b-\u065f\u200c\u200d])+")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# Scripts in which a character alone may be a word: Han, Kana, Hangul, Yi.
_WORD_LIKE = re.compile("[\u3040-\u30ff\u3400-\u9fff\ua000-\ua48f\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Characters:
    """Characters of texts, spaces left out.

    Attributes:
        read: That tokens stand for.
        unknown: Those of them whose tokens say nothing.
    """

    read: int
    unknown: int

    @property
    def share(self) -> float:
        """Of unknown ones; 0 without any."""
        return self.unknown / self.read if self.read else 0.0

    def __add__(self, other: Self) -> Characters:
        return Characters(self.read + other.read, self.unknown + other.unknown)


class Vocabulary:
    """What a model's tokenizer knows.

    Args:
        model_folder: With a ``tokenizer.json``.

    Raises:
        InputError: There is none, or it cannot be read.
    """

    def __init__(self, model_folder: Path) -> None:
        from tokenizers import Tokenizer

        path = model_folder / "tokenizer.json"
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise InputError(
                f"{path} cannot be read as a tokenizer: {error}.",
                remedy="Use a model that comes with a tokenizer.json.",
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = _unknown_id(self._tokenizer)

    @property
    def special_tokens(self) -> int:
        """How many of them frame a text."""
        return self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def sizes(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, special ones not counted."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(one) for one in encoded]

    def characters(self, texts: Sequence[str]) -> Characters:
        """The characters of some texts, and how many of them the model does not know."""
        total = Characters(0, 0)
        for text, encoding in zip(
            texts, self._tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True
        ):
            total += _characters(text, encoding, self._unknown)
        return total


def tokens_read(model_folder: Path) -> int | None:
    """How many tokens of a text a dual encoder reads, special ones included; None where its folder is silent."""
    path = model_folder / "sentence_bert_config.json"
    length = json.loads(read_bytes(path)).get("max_seq_length") if path.is_file() else None
    return length if isinstance(length, int) else None


def unknown_warning(shares: Mapping[str, float]) -> str | None:
    """What to tell of shares of unknown characters, with the remedy; None where all are small.

    Args:
        shares: By whose they are: "the documents", "the queries".
    """
    told = [f"{share:.0%} of {whose}" for whose, share in shares.items() if share >= WARNED_SHARE]
    if not told:
        return None
    return (
        f"The embedder's vocabulary does not know {' and '.join(told)}: what it makes of them is close to arbitrary. "
        'Name a multilingual one, such as [embedder] model = "intfloat/multilingual-e5-small" or "BAAI/bge-m3", and '
        'with it [reranker] model = "BAAI/bge-reranker-v2-m3" (docs/how-to/languages.md); without a hub, search by '
        'BM25 alone: [retrieval] legs = ["bm25"] and [reranker] model = "none".'
    )


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    model = json.loads(tokenizer.to_str())["model"]
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else tokenizer.token_to_id(token)


def _characters(text: str, encoding: Encoding, unknown_id: int | None) -> Characters:
    """Of one text."""
    read = unknown = 0
    pieces = zip(encoding.word_ids, encoding.ids, encoding.tokens, encoding.offsets, strict=True)
    for _, word in groupby(pieces, key=lambda piece: piece[0]):
        tokens = [(number, token, _without_spaces(text, *span)) for _, number, token, span in word]
        spans = {span for _, _, span in tokens}
        size = sum(last - first for first, last in spans)
        read += size
        if all(last - first == 1 for first, last in spans) and len(spans) >= SPELLED_OUT:
            letters = text[min(spans)[0] : max(spans)[1]]
            if _LETTERS.fullmatch(letters) and not _WORD_LIKE.search(letters):
                unknown += size
                continue
        shared = [span for _, _, span in tokens]
        bad = {
            span
            for number, token, span in tokens
            # Tokens that share a character are its bytes.
            if number == unknown_id or _BYTE.fullmatch(token) or (shared.count(span) > 1 and span[1] - span[0] == 1)
        }
        unknown += sum(last - first for first, last in bad)
    return Characters(read, unknown)


def _without_spaces(text: str, first: int, last: int) -> tuple[int, int]:
    """A span without the spaces that some tokenizers count in."""
    while first < last and text[first].isspace():
        first += 1
    while first < last and text[last - 1].isspace():
        last -= 1
    return first, last
