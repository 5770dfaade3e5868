"""What a collection asks for itself: plain words, the same ones in any order, and few others after small changes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.files.parquet import RowWriter
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import Document
from nightrank.storage.release.documents import RAW_DOCUMENTS, deduplicate_documents, raw_row
from nightrank.tasks.document_queries import ask
from nightrank.tasks.document_queries.ask import queries_of_documents
from nightrank.tasks.document_queries.phrases import Text, key_phrases
from nightrank.tasks.document_queries.titles import can_be_asked, shown
from nightrank.tasks.query_log.near_form import near_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nightrank.tasks.query_log.fill import DocumentQuery

SUBJECTS = ("honey bee", "wild yeast", "salt pond", "arch bridge", "iron gall ink", "steam engine", "tide mill")


def asked(folder: Path, documents: Iterable[Document]) -> list[DocumentQuery]:
    raw, settled = folder / "raw.parquet", folder / "settled.parquet"
    for file in (raw, settled):
        file.unlink(missing_ok=True)
    with RowWriter(raw, RAW_DOCUMENTS) as writer:
        for position, document in enumerate(documents):
            writer.write(raw_row(document, position=position))
    deduplicate_documents(raw, settled)
    return list(queries_of_documents(settled))


def page(name: str, title: str = "", text: str = "", language: str = "") -> Document:
    return Document(name, title, text, {}, name, 1, language)


def library(count: int) -> list[Document]:
    """Pages about a subject each, which each come back to it, below headings of their own and one that all have."""
    pages = []
    for number in range(count):
        subject = SUBJECTS[number % len(SUBJECTS)]
        text = (
            f"# Page {number}\n\nOf the {subject} we know this. The {subject} is number {number}.\n\n"
            f"## Keeping the {subject} in year {1000 + number}\n\nIt is kept.\n\n## See also\n\nOther pages."
        )
        pages.append(page(f"p{number}.md", f"The {subject} of place {number} | The Almanac", text))
    return pages


def test_titles_headings_and_phrases_are_asked_in_turn_each_once(tmp_path: Path) -> None:
    found = asked(tmp_path, library(21))
    assert [query.origin for query in found[:5]] == ["title", "phrase", "title", "phrase", "heading"]
    texts = [query.text for query in found]
    assert len({near_form(text) for text in texts}) == len(texts)
    assert {query.text for query in found if query.origin == "phrase"} == set(SUBJECTS)
    assert not any("almanac" in text for text in texts)  # the name of the book says nothing of a page
    assert "see also" not in texts  # nor does what heads every page
    assert all(text == normalise_query(text) and can_be_asked(text) for text in texts)


def test_the_order_and_the_names_of_files_that_documents_came_in_do_not_matter(tmp_path: Path) -> None:
    pages = library(21)
    assert asked(tmp_path, pages) == asked(tmp_path, reversed(pages))


def test_a_few_changes_in_a_hundred_ask_for_a_few_new_queries(tmp_path: Path) -> None:
    before = library(300)
    after = [
        *(page(f"new{number}.md", f"A new page of kind {number}", "New words.") for number in range(3)),
        *before[3:],
    ]
    first, second = ({query.text for query in asked(tmp_path, pages)[:100]} for pages in (before, after))
    assert len(second - first) <= 6


def test_no_more_documents_are_looked_at_than_are_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = library(40)
    everything = asked(tmp_path, pages)
    monkeypatch.setattr(ask, "SAMPLE", 10)
    titles = [query.text for query in asked(tmp_path, pages) if query.origin == "title"]
    assert titles == [query.text for query in everything if query.origin == "title"][:10]


def test_a_page_without_a_title_asks_by_its_name_and_a_row_by_its_first_sentence(tmp_path: Path) -> None:
    assert [query.text for query in asked(tmp_path, [page("man/git-rebase.1.txt", text="Reapply commits.")])] == [
        "git rebase"
    ]
    row = Document("17", "", "How do I return shoes? Send them back.", {}, "faq.csv", 17)
    assert [query.text for query in asked(tmp_path, [row])] == ["how do i return shoes?"]


def test_phrases_know_the_function_words_of_their_text_s_language() -> None:
    german = [
        Text(
            f"Die Wärmepumpe heizt das Haus. Der Preis der Wärmepumpe und die Wärmepumpe im Haus {number}. "
            f"Die alte Heizung ist teuer, und die alte Heizung raucht."
        )
        for number in range(3)
    ]
    assert key_phrases(german) == ["alte heizung"]


def test_phrases_of_a_script_without_spaces_are_words_of_its_dictionary() -> None:
    japanese = [Text("東京の天気予報。天気予報を見る。大阪の話。"), Text("天気予報は雨。明日の天気予報。京都の話。")]
    assert "天気予報" in key_phrases(japanese)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("**Tea** & cakes {#tea}", "Tea & cakes"),
        ("4.1. Reading files¶", "Reading files"),
        ("2001: A Space Odyssey", "2001: A Space Odyssey"),
        ("__init__ of _classes_", "__init__ of classes"),
        ("1984", "1984"),
    ],
)
def test_marks_of_markup_and_numbers_of_sections_are_not_asked(title: str, expected: str) -> None:
    assert shown(title) == expected


@given(texts=st.lists(st.tuples(st.text(max_size=80), st.text(max_size=300)), max_size=6))
def test_any_texts_ask_plain_queries_or_none(
    texts: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    pages = [page(f"{number}.md", title.replace("\0", ""), text) for number, (title, text) in enumerate(texts)]
    folder = tmp_path_factory.mktemp("any")
    for query in asked(folder, [one for one in pages if one.title or one.text.strip()]):
        assert query.text == normalise_query(query.text)
        assert can_be_asked(query.text)
        assert "\n" not in query.text


def test_questions_of_a_model_come_in_turn_marked_and_no_more_than_are_taken(tmp_path: Path) -> None:
    taken: list[int] = []

    def ask_model(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        for number, _ in enumerate(rows):
            taken.append(number)
            yield f"what is question number {number}"

    asked(tmp_path, library(21))
    found = list(islice(queries_of_documents(tmp_path / "settled.parquet", ask_model), 7))
    assert [query.origin for query in found[:6]] == ["question", "title", "question", "phrase", "question", "title"]
    assert len(taken) <= 5
