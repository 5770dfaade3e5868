"""Shares of grams: what a gram is, which stand in a text, and what a candidate's share of them is."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.characters import folded
from nightrank.tasks.rank.grams import GRAM_BITS, MOST_GRAMS, gram_shares, grams_in, query_grams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def reference(query: str, text: str) -> list[bool]:
    """Whether each gram of a query is among those of a text, by sets of them."""

    def grams(said: str) -> dict[str, None]:
        spaced = "".join(one if unicodedata.category(one)[0] in "LMN" else " " for one in folded(said))
        words = [f" {word} " for word in spaced.split()]
        return dict.fromkeys(word[at : at + 4] for word in words for at in range(max(1, len(word) - 3)))

    in_text = grams(text)
    return [gram in in_text for gram in grams(query)][:MOST_GRAMS]


def bits(entry: bytes, count: int) -> list[bool]:
    found: list[bool] = np.unpackbits(np.frombuffer(entry, dtype=np.uint8)).astype(bool)[:count].tolist()
    return found


def one_by_one(queries: Sequence[str], texts: Sequence[str]) -> pa.Array:
    """Each query with each text, query by query."""
    of_query = np.repeat(np.arange(len(queries)), len(texts))
    return grams_in(queries, texts, of_query, np.tile(np.arange(len(texts)), len(queries)))


@pytest.mark.parametrize(
    ("query", "grams"),
    [
        ("", []),
        ("?! --", []),
        ("a", [" a "]),
        ("is a is", [" is ", " a "]),
        ("C++", [" c "]),
        ("snake_case", [" sna", "snak", "nake", "ake ", " cas", "case", "ase "]),
        ("e-mail 4x4", [" e ", " mai", "mail", "ail ", " 4x4", "4x4 "]),
        ("数値を読む", [" 数値を", "数値を読", "値を読む", "を読む "]),
        ("हिन्दी", [" हिन", "हिन्", "िन्द", "न्दी", "्दी "]),  # marks are of the word
        ("cafe\u0301", [" caf", "café", "afé "]),  # a letter with its mark is one
        ("STRASSE", query_grams("straße")),
    ],
)
def test_grams_are_four_neighbouring_characters_of_a_word_and_its_ends(query: str, grams: list[str]) -> None:
    assert query_grams(query) == grams


def test_of_a_long_query_the_first_grams_count() -> None:
    words = [f"w{number:05}" for number in range(400)]
    grams = query_grams(" ".join(words))
    assert len(grams) == MOST_GRAMS
    assert query_grams(" ".join(words[:40])) == grams[: len(query_grams(" ".join(words[:40])))]
    [entry] = one_by_one([" ".join(words)], [" ".join(words)]).to_pylist()
    assert entry == b"\xff" * (MOST_GRAMS // 8) + b"\x80"


WORDS = [
    "a",
    "I",
    "be",
    "read",
    "reads",
    "READER",
    "Straße",
    "日本語",
    "हिन्दी",
    "cafe\u0301",
    "４２",
    "x" * 9,
    "\U0001f600",
]
said = st.lists(st.sampled_from([*WORDS, "-", "_", ".", "\n", "\u200d", "\ud800"]), max_size=8).map(" ".join)
anything = st.text(alphabet=st.characters(), max_size=30)


@given(st.lists(said | anything, max_size=4), st.lists(said | anything, max_size=4))
def test_grams_in_texts_are_those_that_sets_of_grams_share(queries: list[str], texts: list[str]) -> None:
    found = one_by_one(queries, texts)
    assert found.type == GRAM_BITS
    for place, entry in enumerate(found.to_pylist()):
        expected = reference(queries[place // len(texts)], texts[place % len(texts)])
        assert len(entry) == len(expected) // 8 + 1
        assert bits(entry, 8 * len(entry))[: len(expected) + 1] == [*expected, True]
        assert not any(bits(entry, 8 * len(entry))[len(expected) + 1 :])


def test_a_word_of_one_letter_is_found_as_a_word_alone() -> None:
    assert [bits(one, 1) for one in one_by_one(["a"], ["a", "or a.", "as", "at a_b", ""]).to_pylist()] == [
        [True],
        [True],
        [False],
        [True],
        [False],
    ]


def test_pairs_come_in_any_order_and_texts_to_any_number_of_queries() -> None:
    queries, texts = ["read a file", "write files"], ["files to read", "a file", "nothing"]
    whole = one_by_one(queries, texts).to_pylist()
    places = np.array([5, 0, 3, 3, 1])
    assert grams_in(queries, texts, places // 3, places % 3).to_pylist() == [whole[place] for place in places.tolist()]
    assert grams_in([], [], places[:0], places[:0]).to_pylist() == []


def shares(*rows: tuple[int, bytes | None]) -> list[float]:
    """Shares of entries: query, and bits."""
    grams = pa.array([row[1] for row in rows], GRAM_BITS)
    found: list[float] = gram_shares(np.array([row[0] for row in rows]), grams).tolist()
    return found


def test_a_share_is_weighted_by_how_few_of_the_querys_candidates_have_a_gram() -> None:
    # Of three candidates all have the first gram, one has the second, none has the third.
    common, rare, unseen = np.log1p(0.5 / 3.5), np.log1p(2.5 / 1.5), np.log1p(3.5 / 0.5)
    found = shares((0, b"\x90"), (0, b"\xd0"), (0, b"\x90"))
    whole = common + rare + unseen
    assert found == pytest.approx([common / whole, (common + rare) / whole, common / whole])


def test_what_is_there_by_chance_is_a_small_share_of_a_query_that_is_found_nowhere() -> None:
    texts = ["paper is made of wood", "a ship at sea", "the law of the land"]
    places = np.arange(3)
    [wood, ship, law] = gram_shares(np.zeros(3, dtype=int), grams_in(["dairy food"], texts, places * 0, places))
    assert 0.0 == ship == law < wood < 0.2


def test_equal_candidates_have_equal_shares() -> None:
    assert shares((0, b"\xf0"), (0, b"\xf0")) == [1.0, 1.0]
    assert shares((0, b"\xa0"), (0, b"\xa0"))[0] == shares((0, b"\xa0"), (0, b"\xa0"))[1] > 0.0


def test_a_query_none_of_whose_grams_is_found_has_no_share_and_neither_has_what_nobody_looked_at() -> None:
    assert shares((0, b"\x10"), (0, b"\x10")) == [0.0, 0.0]
    assert shares((0, b"\x80"), (1, None), (1, None), (2, b"\xf8")) == [0.0, 0.0, 0.0, 1.0]
    assert gram_shares(np.zeros(0, dtype=int), pa.array([], GRAM_BITS)).tolist() == []


def ended(count: int, found: int) -> bytes:
    """The bits of an entry by a number whose lowest bits are those of the grams, the set bit behind them."""
    width = count // 8 + 1
    return (((found << 1) | 1) << (8 * width - 1 - count)).to_bytes(width, "big")


entries = st.integers(1, 20).flatmap(
    lambda count: st.lists(st.integers(0, 2**count - 1).map(lambda found: ended(count, found)), min_size=1, max_size=6)
)


@given(st.lists(entries, min_size=1, max_size=6))
def test_a_querys_shares_are_from_0_to_1_and_depend_on_its_own_candidates_alone(
    found: list[list[bytes]],
) -> None:
    def of(queries: list[list[bytes]]) -> list[NDArray[np.float64]]:
        rows = [(number, entry) for number, own in enumerate(queries) for entry in own]
        values = np.array(shares(*rows))
        return np.split(values, np.cumsum([len(own) for own in queries])[:-1])

    together = of(found)
    for own, expected in zip(found, together, strict=True):
        assert ((expected >= 0.0) & (expected <= 1.0)).all()
        np.testing.assert_array_equal(of([own])[0], expected)


@given(entries)
def test_a_candidate_with_more_grams_has_the_larger_share(own: list[bytes]) -> None:
    values = shares(*((0, entry) for entry in own))
    numbers = [int.from_bytes(entry, "big") for entry in own]
    for one, value in zip(numbers, values, strict=True):
        for other, less in zip(numbers, values, strict=True):
            if one & other == other:
                assert value >= less


def test_a_slice_of_a_column_is_read_from_where_it_begins() -> None:
    column = pa.array([b"\xff", None, b"\xa0", b"\xe0"], GRAM_BITS)
    np.testing.assert_array_equal(
        gram_shares(np.array([0, 0]), column.slice(2)),
        gram_shares(np.array([0, 0]), pa.array(column.to_pylist()[2:], GRAM_BITS)),
    )
