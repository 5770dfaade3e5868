"""Passages, each once, and which of them are never learnt from."""

from __future__ import annotations

from nightrank.tasks.train.passages import PassageIndex
from nightrank.tasks.train.sources import Passage


def test_a_passage_is_there_once_and_copies_of_other_documents_are_others() -> None:
    passage_index = PassageIndex(titled=True)

    places = [passage_index.put(Passage(*names)) for names in (("a", "T", "x"), ("b", "T", "x"), ("a", "T", "x"))]

    assert places == [0, 1, 0]
    assert [passage.document_id for passage in passage_index.passages] == ["a", "b"]


def test_what_says_the_same_as_a_held_out_passage_is_held_too() -> None:
    passage_index = PassageIndex(titled=True, held_documents={"held"}, held_passages=[Passage("held", "T", "secret")])
    for passage in (
        Passage("held", "T", "another part"),
        Passage("copy", "T", "secret"),
        Passage("other copy", "Another title", "secret\n"),
        Passage("free", "T", "open"),
    ):
        passage_index.put(passage)

    assert passage_index.held == {0, 1, 2}


def test_where_titles_are_the_queries_no_passage_shows_one() -> None:
    passage_index = PassageIndex(titled=False, held_passages=[Passage("held", "One title", "body")])

    place = passage_index.put(Passage("a", "Another title", "body"))

    assert passage_index.passages[place] == Passage("a", "", "body")
    assert passage_index.held == {place}
    assert passage_index.is_empty(Passage("b", "A title alone", " "))
