from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.release.gate_records import PROFILE
from nightrank.tasks.gates.profile.gates import RESEMBLANCES, Signal, profile_gate, shifts, unrelated_gate
from nightrank.tasks.gates.profile.sample import (
    Answered,
    Row,
    Texts,
    as_profile,
    chunk_rows,
    highest,
    pair_rows,
    query_rows,
    similarity_rows,
)
from nightrank.tasks.gates.profile.word_forms import common_forms, word_forms
from nightrank.tasks.gates.rules import Incomparable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

FIRST = Incomparable("it is the first release")


def profile(
    values: Mapping[Signal, Sequence[float] | NDArray[np.float64]], *, depends_on: str = "", prefix: str = "k"
) -> pa.Table:
    rows = [
        Row(signal, f"{prefix}{place}", float(value)) for signal, of in values.items() for place, value in enumerate(of)
    ]
    return as_profile(rows, depends_on=dict.fromkeys(Signal, depends_on))


def scores(seed: int = 0, count: int = 300) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(10.0, 3.0, count)


def test_equal_profiles_have_not_moved() -> None:
    whole = profile({signal: scores() for signal in Signal if signal not in RESEMBLANCES})
    found = shifts(whole, whole)
    assert len(found) == 7 + 2 + 2
    assert {shift.size for shift in found} == {0.0}
    gate = profile_gate(found, max_shift=0.3)
    assert (gate.name, gate.passed, gate.value) == ("profile", True, 0.0)


def test_values_that_are_all_alike_may_move_a_little() -> None:
    alike = np.linspace(2.290, 2.291, 40)
    before, now = profile({Signal.BM25_SCORE: alike}), profile({Signal.BM25_SCORE: alike - 0.01})
    assert [shift.size for shift in shifts(before, now)] == [0.0]
    assert [shift.size for shift in shifts(before, profile({Signal.BM25_SCORE: alike - 0.5}))] == [1.0]
    assert [shift.size for shift in shifts(before, profile({Signal.BM25_SCORE: alike + 0.5}))] == [1.0]


def half(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.arange(values.size) % 2, values, 0.0)


@pytest.mark.parametrize(
    ("signal", "change", "passed", "says"),
    [
        (Signal.BM25_SCORE, half, False, "BM25 scores"),  # half of the queries find nothing by words
        (Signal.DENSE_SCORE, half, False, "dense scores"),
        (Signal.PAIR_SCORE, lambda values: values + 6.0, False, "the reranker's scores"),
        (Signal.RESULT_WORDS, half, False, "words of results"),  # empty texts
        (Signal.CHUNK_WORDS, half, False, "words of chunks"),
        (Signal.COMMON_WORDS, half, False, "words that results share with their queries"),
        (Signal.COMMON_WORDS, lambda values: values + 6.0, True, ""),  # more of them is no fault
        (Signal.BM25_SCORE, lambda values: values + 0.5, True, ""),
        (Signal.CHUNK_WORDS, lambda values: np.where(np.arange(values.size) % 5, values, scores(1)), True, ""),
    ],
)
def test_what_moves_for_many_is_refused_and_named(
    signal: Signal, change: Callable[[NDArray[np.float64]], NDArray[np.float64]], passed: bool, says: str
) -> None:
    before, now = profile({signal: scores()}), profile({signal: change(scores())})
    gate = profile_gate(shifts(before, now), max_shift=0.3)
    assert gate.passed is passed
    assert says in gate.reason
    assert profile_gate(shifts(before, now), max_shift=1.0).passed  # switched off


@pytest.mark.parametrize(
    ("tokens", "terms", "passed", "says"),
    [
        (22.3, 11.0, True, "figures of texts and queries compared"),
        (36.5, 11.0, False, "22.0 tokens of the embedder in 100 characters live, 36.5 now (moved by 0.40)"),
        (22.0, 5.5, False, "11.0 terms of BM25 in 100 characters live, 5.5 now (moved by 0.50)"),
        (22.0, 10.0, True, ""),
    ],
)
def test_a_tokenizer_that_lost_half_of_its_vocabulary_is_seen_in_what_texts_become(
    tokens: float, terms: float, passed: bool, says: str
) -> None:
    def of(tokens: float, terms: float) -> pa.Table:
        sizes = (100.0, 200.0)  # few chunks are enough
        return profile(
            {
                Signal.CHUNK_CHARACTERS: sizes,
                Signal.CHUNK_TOKENS: [tokens * size / 100 for size in sizes],
                Signal.CHUNK_TERMS: [terms * size / 100 for size in sizes],
            }
        )

    gate = profile_gate(shifts(of(22.0, 11.0), of(tokens, terms)), max_shift=0.3)
    assert gate.passed is passed
    assert says in gate.reason


def test_characters_that_the_embedder_no_longer_knows_are_seen_and_more_that_it_knows_are_no_fault() -> None:
    known, unknown = (profile({Signal.KNOWN_QUERIES: [share]}) for share in (0.98, 0.6))
    gate = profile_gate(shifts(known, unknown), max_shift=0.3)
    assert not gate.passed
    assert "98.0% characters of queries that the embedder knows live, 60.0% now" in gate.reason
    assert profile_gate(shifts(unknown, known), max_shift=0.3).value == 0.0


def pairs(values: NDArray[np.float64], signal: Signal) -> pa.Table:
    """Values of 40 queries, a row each, and as many texts as there are columns."""
    rows = [
        Row(signal, f"q{query} t{text}", float(value))
        for query, of in enumerate(values)
        for text, value in enumerate(of)
    ]
    return as_profile(rows, depends_on={})


@pytest.mark.parametrize(
    ("signal", "says"), [(Signal.SIMILARITY, "the dual encoder's similarities"), (Signal.PAIR, "the reranker's scores")]
)
def test_a_model_that_does_not_read_is_refused_and_another_one_that_reads_is_not(signal: Signal, says: str) -> None:
    generator = np.random.default_rng(0)
    live, noise = generator.normal(0.0, 1.0, (2, 40, 12))
    another = -20.0 + 300.0 * (live + 0.5 * noise) ** 3  # other values, in an order that resembles the live one

    assert profile_gate(shifts(pairs(live, signal), pairs(another, signal)), max_shift=0.3).value == 0.0
    gate = profile_gate(shifts(pairs(live, signal), pairs(noise, signal)), max_shift=0.3)

    assert not gate.passed
    assert f"{says} of the same pairs correlate with the live ones by " in gate.reason
    assert "of models that read by 0." in gate.reason


def test_what_a_change_of_the_settings_moves_is_not_compared() -> None:
    before = profile({Signal.DENSE_SCORE: scores(), Signal.CHUNK_TERMS: [1.0], Signal.CHUNK_CHARACTERS: [10.0]})
    now = profile(
        {Signal.DENSE_SCORE: half(scores()), Signal.CHUNK_TERMS: [9.0], Signal.CHUNK_CHARACTERS: [10.0]},
        depends_on="another model",
    )
    assert shifts(before, now) == []
    assert profile_gate([], max_shift=0.3).reason == "not compared: there is too little of both releases"
    assert profile_gate(FIRST, max_shift=0.3).reason == "not compared: it is the first release"


def test_distributions_are_compared_on_queries_that_both_answer_where_they_are_enough() -> None:
    before = profile({Signal.BM25_SCORE: scores(count=60)})
    assert shifts(before, profile({Signal.BM25_SCORE: half(scores(count=60))}, prefix="other")) == []
    assert shifts(before, profile({Signal.BM25_SCORE: half(scores(count=29))})) == []
    assert len(shifts(before, profile({Signal.BM25_SCORE: scores(count=30)}))) == 1


def test_more_results_that_have_nothing_to_do_with_their_queries_are_refused() -> None:
    live, now = (profile({Signal.UNRELATED: [share] * 300}) for share in (0.02, 0.4))
    gate = unrelated_gate(live, now, max_unrelated=0.1)
    assert (gate.name, gate.passed) == ("unrelated", False)
    assert gate.value == pytest.approx(0.38)
    assert "40.0% of the first results of 300 queries share no word with them and are little similar, 2.0% live" in (
        gate.reason
    )
    assert unrelated_gate(now, live, max_unrelated=0.1).value == 0.0
    assert unrelated_gate(live, live, max_unrelated=0.1).passed
    assert unrelated_gate(live, now, max_unrelated=1.0).passed  # switched off
    assert "not compared: it is the first release; 40.0% of" in unrelated_gate(FIRST, now, max_unrelated=0.1).reason


def test_few_queries_are_allowed_more_for_chance() -> None:
    live, now = (profile({Signal.UNRELATED: [share] * 7}) for share in (0.2, 0.4))
    assert unrelated_gate(live, now, max_unrelated=0.1).passed
    live, now = (profile({Signal.UNRELATED: [share] * 300}) for share in (0.2, 0.4))
    assert not unrelated_gate(live, now, max_unrelated=0.1).passed


def texts(of: dict[str, tuple[str, tuple[float, float]]]) -> Texts:
    return Texts(
        forms={key: word_forms(text) for key, (text, _) in of.items()},
        words={key: len(text.split()) for key, (text, _) in of.items()},
        characters={key: len(text.replace(" ", "")) for key, (text, _) in of.items()},
        tokens={key: 2 * len(text.split()) for key, (text, _) in of.items()},
        vectors={key: np.array(vector) for key, (_, vector) in of.items()},
    )


def values_of(rows: pa.Table, signal: Signal) -> list[float]:
    return [row["value"] for row in rows.to_pylist() if row["signal"] == signal.value]


def test_a_result_is_unrelated_where_it_shares_no_word_and_is_no_closer_than_chunks_at_random() -> None:
    known = texts(
        {
            "shares": ("bees make honey", (0.0, 1.0)),
            "close": ("insects of a hive", (1.0, 0.0)),
            "neither": ("volcanoes", (0.0, 1.0)),
            "random": ("glass", (0.6, 0.8)),
        }
    )
    vector = np.array([2.0, 0.0], np.float32)
    query = Answered("k", "honey, please", vector, ["shares", "close", "neither", None], {Signal.BM25_SCORE: 3.0})
    rows = as_profile([*query_rows([query], known, at_random=["random"])], depends_on={Signal.BM25_SCORE: "b"})
    assert rows.schema.equals(PROFILE)
    assert values_of(rows, Signal.UNRELATED) == [0.5]
    assert values_of(rows, Signal.COMMON_WORDS) == [0.5 / 4]
    assert values_of(rows, Signal.RESULT_WORDS) == [(3 + 4 + 1 + 0) / 4]
    assert values_of(rows, Signal.BM25_SCORE) == [3.0]
    assert {row["depends_on"] for row in rows.to_pylist()} == {"", "b"}
    without = query_rows([query._replace(vector=None)], known, at_random=["random"])  # by words alone
    assert values_of(as_profile([*without], depends_on={}), Signal.UNRELATED) == [0.75]


def test_pairs_are_those_of_queries_with_chunks_at_random_and_with_their_first_candidates() -> None:
    known = texts({"a": ("glass", (0.6, 0.8)), "b": ("sand", (1.0, 0.0))})
    answered = [Answered("k", "glass", np.array([2.0, 0.0], np.float32), [], {}), Answered("k2", "sand", None, [], {})]
    rows = [*similarity_rows(answered, known, at_random=["a", "b", "not there"])]
    assert {row.key: row.value for row in rows} == pytest.approx({"k a": 0.6, "k b": 1.0})
    candidates = pa.table(
        {
            "query_key": ["k"] * 3,
            "chunk_hash": ["a", "b", "c"],
            "fused_rank": pa.array([1, 12, 13], pa.int32()),
            "pair_score": pa.array([-2.5, None, 1.0], pa.float32()),
        }
    )
    assert [(row.key, row.value) for row in pair_rows(candidates)] == [("k a", -2.5)]


def test_a_query_without_results_or_words_has_no_share_of_them() -> None:
    known = texts({"a": ("glass", (1.0, 0.0))})
    queries = [Answered("k", "glass", None, [], {}), Answered("k2", "?!", None, ["a"], {})]
    assert [*query_rows(queries, known, at_random=["a"])] == []


def test_chunks_are_measured_in_words_characters_tokens_and_terms() -> None:
    chunks = pa.table({"chunk_hash": ["a", "not there"], "length": pa.array([12, 4], pa.int32())})
    rows = chunk_rows(chunks, texts({"a": ("ab cde", (1.0, 0.0))}), unit=4)
    assert [(row.signal, row.value) for row in rows] == [
        (Signal.CHUNK_WORDS, 2),
        (Signal.CHUNK_CHARACTERS, 5),
        (Signal.CHUNK_TOKENS, 4),
        (Signal.CHUNK_TERMS, 3.0),
    ]


def test_the_highest_score_is_0_where_a_leg_lists_none_of_the_candidates() -> None:
    candidates = pa.table({"query_key": ["a", "a", "b"], "bm25_score": pa.array([1.0, 2.5, None], pa.float32())})
    assert highest(candidates, "bm25_score") == {"a": 2.5, "b": 0.0}


def test_words_that_many_texts_have_say_nothing_where_there_are_enough_texts() -> None:
    many = [word_forms(f"the text{number % 26}") for number in range(60)]
    assert "the" in common_forms(many)
    assert common_forms(many[:10]) == frozenset()
    assert word_forms("Übergrößen übergrosse") == {"überg"}
    assert word_forms("รองเท้า") & word_forms("รองเท้าใหม่")
