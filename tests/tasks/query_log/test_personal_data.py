from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.keys import normalise_query
from nightrank.tasks.query_log.personal_data import masked, passes_luhn

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jane.doe+x@mail.example.org please", "write to [email] please"),
        ("jane(at)example.com", "[email]"),
        ("m\u00fcller@b\u00fccher.example", "[email]"),
        ("+49 (0)30 123456-78", "[phone]"),
        ("0049 30 1234567", "[phone]"),
        ("tel. 030/1234567", "tel. [phone]"),
        ("0151 2345 6789", "[phone]"),
        ("(212) 555-0100", "[phone]"),
        ("1-212-555-0100 who called", "[phone] who called"),
        ("4111-1111-1111-1111", "[card]"),
        ("378282246310005", "[card]"),
        ("is 5555 5555 5555 4444 mine", "is [card] mine"),
        ("4111 1111 1111 1111 123", "[card] 123"),  # a check value
        ("4111111111111111 12 25", "[card] 12 25"),
        ("visa 4111 1111 1111 1111 12 25 123", "visa [card] 12 25 123"),
        ("4111 1111 1111 1111 12/25", "[card] 12/25"),
        ("20 4111111111111111", "20 [card]"),
        ("4111.1111.1111.1111", "[card]"),
        ("4111111111111111, 5555555555554444", "[card], [card]"),
        ("4111111111111111 5555555555554444", "[card] [card]"),
        ("6304000000000000 and 30569309025904", "[card] and [card]"),
    ],
)
def test_addresses_telephone_numbers_and_cards_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "user@host",  # no domain
        "what does @property do",
        "2019-2020",
        "2024-06-03 12:30",
        "10.0.0.1",
        "isbn 978-3-16-148410-0",
        "4006381333931",  # an article's number, 13 digits that pass Luhn or not
        "4111 1111 1111 1112",  # does not pass Luhn
        "1,000,000,000 dollars",
        "0306406152",
        "order-4111111111111111",
        "4111111111111111a",
        "2021 2022 2023 2024 2025 2026",
        "3.14159265358979323846",
        "rfc 2616 section 14",
        "0.05 to 0.001",
        "error 0x80070057",
    ],
)
def test_other_figures_stay(text: str) -> None:
    assert masked(text) == text


def test_digits_and_signs_of_every_width_are_seen_once_a_query_is_normalised() -> None:
    assert masked(normalise_query("Jane\uff20Example\uff0eORG \uff0b\uff14\uff19 30 1234567")) == "[email] [phone]"


@pytest.mark.parametrize(
    "unit", ["a", "a.", "1", "1 ", "4 ", "41.", "4111111111111111 ", "0 ", "+1", "a@a.", "@", "(", "-"]
)
def test_the_longest_query_takes_no_longer_than_its_length_asks_for(unit: str) -> None:
    start = time.process_time()
    masked((unit * 20_000)[:20_000])
    assert time.process_time() - start < 1.0  # a search that begins anew at each character takes many seconds


@given(st.text(max_size=40))
def test_what_is_masked_holds_no_more_to_mask(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@given(st.text("0123456789", min_size=2, max_size=19), st.integers(0, 18), st.integers(1, 9))
def test_luhn_finds_every_wrong_digit(digits: str, place: int, wrong_by: int) -> None:
    body = digits[:-1]
    [check] = [digit for digit in "0123456789" if passes_luhn(body + digit)]
    number = body + check
    at = place % len(number)
    changed = number[:at] + str((int(number[at]) + wrong_by) % 10) + number[at + 1 :]
    assert not passes_luhn(changed)


def test_no_question_of_real_collections_looks_like_personal_data(shared_data: Path) -> None:
    found = []
    for name in ("scifact", "arguana", "cran"):
        for path in (shared_data / name).rglob("queries.jsonl"):
            with path.open() as lines:
                texts = [normalise_query(json.loads(line)["text"]) for line in lines]
            found += [text for text in texts if masked(text) != text]
    assert found == []
