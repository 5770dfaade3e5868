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


def test_running_heads_and_page_numbers_that_repeat_go() -> None:
    pages = [
        f"Annual report\nText of page {number}.\nMore\nof it {number * 7}\nPage {number} of 4"
        for number in (1, 2, 3, 4)
    ]
    expected = [f"Text of page {number}.\nMore\nof it {number * 7}" for number in (1, 2, 3, 4)]
    # The first line of text counts the pages, too, and stands at the top; a line below it stays.
    assert joined_pages(pages) == "\n\n".join(line.partition("\n")[2] for line in expected)


def test_lines_that_differ_or_stand_on_few_pages_stay() -> None:
    pages = ["Step 3\na b", "Step 8\nc d", "Step 9\ne f"]
    assert joined_pages(pages) == "\n\n".join(pages)
    assert joined_pages(["Head\none", "Head\ntwo"]) == "Head\none\n\nHead\ntwo"
