from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.characters import folded, visible

ZWNJ, ZWJ = "\u200c", "\u200d"


@pytest.mark.parametrize(
    "invisible",
    ["\u00ad", "\u200b", "\u2060", "\ufeff", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\u061c"],
    ids=ascii,
)
def test_what_prints_as_nothing_neither_cuts_a_word_nor_makes_another_one(invisible: str) -> None:
    assert visible(f"{invisible}Kranken{invisible}versicherung") == "Krankenversicherung"
    assert folded(f"zero{invisible}width") == folded("zerowidth")


@pytest.mark.parametrize(
    "text",
    [
        f"\u0645\u06cc{ZWNJ}\u062e\u0648\u0627\u0647\u0645",  # Persian: the prefix stands apart
        f"\u0915\u094d{ZWJ}\u0937",  # Hindi: a half form
        f"\u0dc1\u0dca{ZWJ}\u0dbb\u0dd3",  # Sinhala: sri
        f"\U0001f469{ZWJ}\U0001f4bb",  # a woman at a computer
    ],
    ids=ascii,
)
def test_joiners_stay_where_scripts_and_emoji_need_them(text: str) -> None:
    assert visible(text) == text
    assert visible(text.replace(ZWNJ, ZWNJ + ZWNJ)) == text


@pytest.mark.parametrize("text", [f"shoe{ZWNJ}s", f"{ZWJ}shoes", f"shoes{ZWJ}{ZWNJ}"], ids=ascii)
def test_joiners_go_where_they_join_nothing(text: str) -> None:
    assert visible(text) == "shoes"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0130STANBUL", "istanbul"),
        ("I\u0307STANBUL", "istanbul"),  # the dot apart, as file names of macOS have it
        ("ISPARTA", "\u0131sparta"),
        ("caf\u00e9", "cafe\u0301"),
        ("STRASSE", "stra\u00dfe"),
        ("\uff32\uff45\uff41\uff44", "read"),
        ("\u2764\ufe0f", "\u2764"),  # a heart, as an emoji and as a sign
    ],
    ids=ascii,
)
def test_spellings_of_one_word_fold_alike(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_accents_stay() -> None:
    assert folded("\u00cdNDICE \u00e9t\u00e9") == "\u00edndice \u00e9t\u00e9"


def test_the_characters_dropped_are_those_that_unicode_calls_default_ignorable() -> None:
    every = (chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF)
    dropped = {char for char in every if not visible(f"a{char}b").strip("ab")} - {"a", "b"}
    assert {unicodedata.category(char) for char in dropped} == {"Cf", "Mn", "Lo", "Cn"}
    # U+2065, U+FFF0 to U+FFF8 and most of plane 14 are set aside for characters of this kind.
    assert {char for char in dropped if unicodedata.category(char) == "Lo"} == set("\u115f\u1160\u3164\uffa0")
    assert not dropped & {chr(point) for point in range(0x0600, 0x0606)}  # signs that are seen, though of category Cf


@given(
    st.text(
        alphabet=st.sampled_from("Ii\u0130\u0131j\u0307\u0301\u00df\u00ad\u200b\u200c\u200d\u0645\u0915\u24d0 a"),
        max_size=8,
    )
)
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)
