from __future__ import annotations

import hashlib
import string
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.keys import (
    KEY_LENGTH,
    digest,
    digest_of_sequence,
    fingerprint,
    normalise_query,
    query_key,
    sha256_of_file,
)

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)


def test_where_one_part_ends_and_the_next_begins_is_part_of_a_key() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", "") != digest("a")
    assert digest("", "a") != digest("a", "")
    assert digest() != digest("")


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_different_sequences_have_different_keys(first: list[str], second: list[str]) -> None:
    assert (digest(*first) == digest(*second)) == (first == second)


def test_a_key_is_32_hexadecimal_characters_that_never_change() -> None:
    expected = hashlib.sha256(bytes([1, 0, 0, 0, 0, 0, 0, 0]) + b"a").hexdigest()[:32]
    assert digest("a") == expected
    assert len(expected) == KEY_LENGTH
    assert set(expected) <= set(string.hexdigits.lower())


def test_half_a_surrogate_pair_has_a_key_too() -> None:
    assert digest("\ud83d") != digest("\ud83e")


def test_the_order_of_a_mappings_keys_does_not_matter_and_types_do() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})
    keys = {fingerprint({"a": value}) for value in (1, 1.0, True, "1", None, [1], {"1": 1})}
    assert len(keys) == 7


def test_a_long_sequence_of_keys_is_read_once_and_its_order_counts() -> None:
    assert digest_of_sequence(iter(["a", "b"])) == digest_of_sequence(["a", "b"])
    assert digest_of_sequence(["a", "b"]) != digest_of_sequence(["b", "a"])
    assert digest_of_sequence(["a", "b"]) != digest_of_sequence(["ab"])


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(content)
    assert sha256_of_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        ("Read a CSV", "read a csv"),
        ("  read\ta\n\ncsv ", "read a csv"),
        ("read\u00a0a\u3000csv", "read a csv"),
        ("\uff32\uff45\uff41\uff44", "read"),  # full-width letters
        ("\ufb01le", "file"),  # the ligature fi
        ("STRASSE", "strasse"),
        ("Stra\u00dfe", "strasse"),
        ("caf\u0065\u0301", "caf\u00e9"),  # e and an accent: composed
        ("   ", ""),
        ("c++ & c#", "c++ & c#"),
    ],
)
def test_a_query_is_nfkc_folded_and_single_spaced(typed: str, normalised: str) -> None:
    assert normalise_query(typed) == normalised


def test_no_character_keeps_changing() -> None:
    every = "|".join(chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF)
    assert normalise_query(normalise_query(every)) == normalise_query(every)


def test_spellings_that_normalise_alike_share_a_key_and_others_do_not() -> None:
    assert query_key(" Read  a CSV") == query_key("read a csv")
    assert query_key("read acsv") != query_key("read a csv")


def test_a_query_and_a_text_of_the_same_words_have_different_keys() -> None:
    assert query_key("csv") != digest("csv")
    assert query_key("csv") != digest("chunk", "csv")
