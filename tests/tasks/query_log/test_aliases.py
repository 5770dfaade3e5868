from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.keys import normalise_query
from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.near_form import near_form
from tests.support.query_logs import logged, traffic_of


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("what is bm25?", "what is bm25"),
        ("what is bm25 ?!", "what is bm25."),
        ("\u00bfque es eso?", "que es eso"),
        ("covid-19", "covid 19"),
        ("e\u2011mail", "e mail"),
        ("3d-daten", "3d daten"),
        ("dog\u2019s heat", "dog's heat"),
    ],
)
def test_texts_that_differ_in_end_punctuation_hyphens_or_apostrophes_are_near(left: str, right: str) -> None:
    assert near_form(left) == near_form(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("c", "c++"),
        ("c", "c#"),
        ("net", ".net"),
        ("caf\u00e9", "cafe"),
        ("schon", "sch\u00f6n"),
        ("2019-06", "2019 06"),
        ("-5", "5"),
        ("email", "e-mail"),
        ('"read a csv"', "read a csv"),
        ("dog", "dogs"),
        ("a b", "b a"),
        ("?", "!"),
    ],
)
def test_what_may_carry_a_meaning_keeps_texts_apart(left: str, right: str) -> None:
    assert near_form(left) != near_form(right)


@given(st.text(max_size=20).map(normalise_query))
def test_a_near_form_is_its_own_near_form_and_never_empty_for_a_text(text: str) -> None:
    assert near_form(near_form(text)) == near_form(text)
    assert bool(near_form(text)) == bool(text)


def test_the_most_frequent_form_stands_for_all_and_takes_their_traffic_and_ids() -> None:
    rows = [
        logged("E-Mail?", count=2, query_id="q1"),
        logged("e mail", count=4, query_id="q2"),
        logged("e-mail", count=3, query_id="q3"),
        logged("other", count=1),
    ]
    merged = merge_aliases(traffic_of(rows), near=True)
    assert merged.texts == ["e mail", "other"]
    assert merged.aliases == [["e-mail", "e-mail?"], []]
    assert merged.query_ids == [["q1", "q2", "q3"], []]
    assert merged.counts.tolist() == [9, 1]
    assert merged.rows.tolist() == [3, 1]


def test_equally_frequent_forms_go_by_text_whatever_the_order_of_the_rows() -> None:
    for rows in permutations([logged("a?", count=2), logged("a", count=2), logged("a!", count=2)]):
        merged = merge_aliases(traffic_of(rows), near=True)
        assert (merged.texts, merged.aliases) == (["a"], [["a!", "a?"]])


def test_without_near_each_text_is_a_query() -> None:
    merged = merge_aliases(traffic_of([logged("a?"), logged("a"), logged("A")]), near=False)
    assert dict(zip(merged.texts, merged.counts.tolist(), strict=True)) == {"a?": 1, "a": 2}
    assert merged.aliases == [[], []]


def test_users_of_several_forms_are_counted_once() -> None:
    rows = [logged("a", user=1), logged("a?", user=1), logged("a?", user=2), logged("b", user=3), logged("b", user=3)]
    merged = merge_aliases(traffic_of(rows, most_users=5), near=True)
    assert dict(zip(merged.texts, merged.users.tolist(), strict=True)) == {"a?": 2, "b": 1}


def test_a_log_without_rows_has_no_queries() -> None:
    merged = merge_aliases(traffic_of([]), near=True)
    assert (merged.texts, merged.counts.tolist(), len(merged.entries)) == ([], [], 0)
