from __future__ import annotations

import pytest

from nightrank.tasks.read.markup.pdf_text import joined_pages, real_title


@pytest.mark.parametrize(
    "title",
    [
        "untitled",
        "Untitled-3",
        "Microsoft Word - draft_v3_FINAL.docx",
        "report.pdf",
        "PowerPoint Presentation",
        "Document1",
        "slide 1",
    ],
)
def test_a_title_that_a_program_made_up_is_none(title: str) -> None:
    assert real_title(title) == ""


@pytest.mark.parametrize("title", ["Annual report 2024", "Untitled works of the 1920s", "Working with .docx files", ""])
def test_a_title_that_a_person_gave_stays(title: str) -> None:
    assert real_title(title) == title


def test_words_that_lines_cut_are_whole_again() -> None:
    assert joined_pages(["infor-\nmation and soft\u00ad\nware"]) == "information and software"
    assert joined_pages(["a well-known fact, well-\nknown to all"]) == "a well-known fact, well-known to all"
    assert joined_pages(["Anglo-\nSaxon, 1990-\n1995"]) == "Anglo-Saxon, 1990-\n1995"


def test_a_running_head_stays_once_and_page_numbers_go() -> None:
    pages = [f"Annual report\nText {number * 7}.\nMore\nof it.\nPage {number} of 4" for number in (1, 2, 3, 4)]
    assert joined_pages(pages).split("\n\n") == [
        "Annual report\nText 7.\nMore\nof it.",  # "of it." stands at the bottom of every page, and once
        "Text 14.\nMore",
        "Text 21.\nMore",
        "Text 28.\nMore",
    ]


def test_numbers_with_words_go_where_they_count_many_pages() -> None:
    texts = ["One.", "Another.", "A third.", "More.", "Still more.", "The end."]
    pages = [f"{number} Handbook\n{text}" for number, text in enumerate(texts, start=4)]
    assert joined_pages(pages) == "\n\n".join(texts)


def test_lines_that_differ_or_count_few_pages_stay() -> None:
    pages = ["Step 1\na b", "Step 2\nc d", "Step 3\ne f"]
    assert joined_pages(pages) == "\n\n".join(pages)
    assert joined_pages(["Head\n3"]) == "Head\n3"
