from __future__ import annotations

import unicodedata

import pytest

from nightrank.storage.files.text import plain_text

STEERING = [*"\x00\x07\x0b\x1b\x7f\x9b\u200b\u200e\u200f\u2028\u2029\u2060\ufeff\U000e0041\ud800\uffff"]
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("character", STEERING)
def test_what_steers_a_terminal_or_prints_as_nothing_is_replaced(character: str, lines: bool) -> None:
    assert plain_text(f"a{character}b", lines=lines) == "a\N{REPLACEMENT CHARACTER}b"


def test_every_character_that_turns_the_direction_is_replaced() -> None:
    turning = [chr(code) for code in range(0x110000) if unicodedata.bidirectional(chr(code)) in DIRECTIONS]
    assert len(turning) == 9
    assert plain_text("".join(turning)) == "\N{REPLACEMENT CHARACTER}" * 9


def test_ends_of_lines_stay_where_lines_are_shown() -> None:
    assert plain_text("a\tb\nc", lines=True) == "a\tb\nc"
    assert plain_text("a\tb\nc") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


@pytest.mark.parametrize(
    "text", ["Crème brûlée 3 × 4", "می\u200cخواهم", "שלום", "👩\u200d🚀", "日本語", "a\u00a0b\u00adc"]
)
def test_what_people_write_stays(text: str) -> None:
    assert plain_text(text) == text
