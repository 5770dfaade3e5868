from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.keys import normalise_query
from nightrank.tasks.personal_data import impersonal_id, masked

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
        ("06 12 34 56 78", "[phone]"),  # French
        ("01.23.45.67.89", "[phone]"),
        ("020 7946 0958 london", "[phone] london"),
        ("090-1234-5678", "[phone]"),
        ("+34 612 345 678", "[phone]"),
        ("212\u2013555\u20130100", "[phone]"),  # en dashes, as word processors write them
        ("212 \u2014 555 \u2014 0100", "[phone]"),
        ("4111\u20111111\u20111111\u20111111", "[card]"),
        ("4111\u202f1111\u00a01111\u20091111", "[card]"),
        ("4111 \u2212 1111 \u2212 1111 \u2212 1111", "[card]"),
        ("\u0660\u0666 \u0661\u0662 \u0663\u0664 \u0665\u0666 \u0667\u0668", "[phone]"),  # Arabic digits
        ("jane.\u00addoe@exam\u200bple.org wrote", "[email] wrote"),
        ("0\u200b30 \u2060123\u00ad4567", "[phone]"),
        ('"jane doe"@example.org', "[email]"),
        ("o'brien@example.org", "[email]"),
        ("jane @ example.org", "[email]"),
        ("DE89 3704 0044 0532 0130 00 was ist das", "[iban] was ist das"),
        ("pay gb29nwbk60161331926819 now", "pay [iban] now"),
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
        "using @x.setter",
        "decorated with `@typing.final`",
        "05.20 - 00.30",
        "01.02.2024 03",
        "06123-25.009.824-5",
        "000 123 456 789",  # no telephone number begins so
        "GB28 NWBK 6016 1331 9268 19",  # fails its check
        "10 20 30 40 50",
        "1234-5678",
    ],
)
def test_other_figures_stay(text: str) -> None:
    assert masked(text) == text


def test_digits_and_signs_of_every_width_are_seen_once_a_query_is_normalised() -> None:
    assert masked(normalise_query("Jane\uff20Example\uff0eORG \uff0b\uff14\uff19 30 1234567")) == "[email] [phone]"


def test_ids_have_one_pseudonym_wherever_they_are_read() -> None:
    assert impersonal_id("q-17") == "q-17"
    pseudonym = impersonal_id("jane@example.org")
    assert pseudonym == impersonal_id("jane@example.org") != impersonal_id("john@example.org")
    assert impersonal_id(pseudonym) == pseudonym
    assert "jane" not in pseudonym


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "1",
        "1 ",
        "4 ",
        "41.",
        "4111111111111111 ",
        "0 ",
        "+1",
        "a@a.",
        "@",
        "(",
        "-",
        "0 12",
        "01.",
        "de89 ",
        '"',
        "555-555-5555 ",
    ],
)
def test_the_longest_query_takes_no_longer_than_its_length_asks_for(unit: str) -> None:
    start = time.process_time()
    masked((unit * 20_000)[:20_000])
    assert time.process_time() - start < 1.0  # a search that begins anew at each character takes many seconds


@given(st.text(max_size=40))
def test_what_is_masked_holds_no_more_to_mask(text: str) -> None:
    assert masked(masked(text)) == masked(text)


def test_no_question_of_real_collections_looks_like_personal_data(shared_data: Path) -> None:
    found = []
    for name in ("scifact", "arguana", "cran"):
        for path in (shared_data / name).rglob("queries.jsonl"):
            with path.open() as lines:
                texts = [normalise_query(json.loads(line)["text"]) for line in lines]
            found += [text for text in texts if masked(text) != text]
    assert found == []
