"""Keys: the digests by which values are found again.

Every key is the first 16 bytes of a SHA-256 as 32 hexadecimal characters: short enough to store
beside each row, long enough (128 bits) that two different texts never meet.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from nightrank.storage.characters import folded
from nightrank.storage.places import naming

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEY_LENGTH = 32


def digest(*parts: str) -> str:
    """The key of a sequence of texts; ``("ab", "c")`` and ``("a", "bc")`` have different ones.

    Returns:
        32 hexadecimal characters.
    """
    state = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()[:KEY_LENGTH]


def short_key(*parts: str) -> int:
    """The key of a sequence of texts as 60 bits, where many are kept and a collision would be no harm, or is unlikely.

    Returns:
        At least 0; it fits an integer of SQLite.
    """
    return int(digest(*parts)[:15], 16)


def fingerprint(value: object) -> str:
    """The key of a JSON-like value, whatever the order of its mappings' keys."""
    return digest(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def digest_of_bytes(data: bytes) -> str:
    """The key of a value that is no text."""
    return hashlib.sha256(data).hexdigest()[:KEY_LENGTH]


def sha256_of_file(path: Path) -> str:
    """The whole SHA-256 of a file, 64 hexadecimal characters, read in blocks."""
    with path.open("rb") as file, naming(path):
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_sequence(keys: Iterable[str]) -> str:
    """The key of a long sequence of keys, in memory that does not grow with it."""
    state = hashlib.sha256()
    for key in keys:
        state.update(key.encode())
        state.update(b"\n")
    return state.hexdigest()[:KEY_LENGTH]


def unordered_digest(keys: Iterable[str]) -> str:
    """The key of a long bag of keys, whatever their order, in memory that does not grow with it.

    >>> unordered_digest(["a", "b"]) == unordered_digest(["b", "a"])
    True
    >>> unordered_digest(["a"]) == unordered_digest(["a", "a"])
    False
    """
    total = count = 0
    for key in keys:
        total += int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest(), "little")
        count += 1
    return digest(str(count), str(total % (1 << 512)))


def normalise_query(text: str) -> str:
    r"""The one form of a query that models and keys see: folded (``characters``), with single spaces.

    Normalising what is normalised changes nothing.

    >>> normalise_query("  Read a\u00a0CSV\u200b  file ")
    'read a csv file'
    """
    return " ".join(folded(text).split())


def query_key(text: str, condition: str | None = None) -> str:
    """The key of a query: of its normalised text, so that two spellings that normalise alike share it, and its filter.

    Args:
        text: As typed, or normalised.
        condition: The canonical text of its filter; the same text with another filter is another query.
    """
    parts = () if condition is None else (condition,)
    return digest("query", normalise_query(text), *parts)
