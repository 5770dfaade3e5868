"""Pages that would take for ever if a pattern tried every way, and what must stay unseen whatever is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.tasks.read.account import Account
from nightrank.tasks.read.markup.asciidoc import parse_asciidoc
from nightrank.tasks.read.markup.front_matter import hidden_because, split_front_matter
from nightrank.tasks.read.markup.html import parse_html
from nightrank.tasks.read.markup.markdown import published_markdown
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.settings.inputs import DocumentsSettings

if TYPE_CHECKING:
    from pathlib import Path


def test_blanks_in_a_broken_block_are_passed_once() -> None:
    found = split_front_matter(f"---\nx: [\ntitle: a{' ' * 50_000}b\n---\ntext")
    assert str(found.fields["title"]).startswith("a ")
    assert found.text == "text"


@pytest.mark.parametrize("opened", ["{%" + "\n" * 100_000, "{%" + "\t" * 20_000 + "|a" * 20_000])
def test_a_tag_that_is_never_closed_is_passed_once(opened: str) -> None:
    assert published_markdown(opened).text.startswith("{%")


@pytest.mark.parametrize("line", ["[" * 100_000, "[[" * 50_000, "image:a[" * 20_000])
def test_brackets_that_are_never_closed_are_passed_once(line: str) -> None:
    assert parse_asciidoc(line)[2] == line


def test_a_name_without_an_end_is_passed_once() -> None:
    assert parse_html(f"<p>seen</p><b{'a' * 100_000}", is_xml=True).text.startswith("seen")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("draft: true # until May", "draft"),
        ("draft: true", "draft"),
        ("private: true", "page kept out of searches"),
        ("noindex: yes", "page kept out of searches"),
        ("published: false // later", "page that is not published"),
        ("draft: false # since May", ""),
    ],
)
def test_what_hides_a_page_counts_in_a_broken_block_too(line: str, why: str) -> None:
    assert hidden_because(split_front_matter(f"---\ntitle: How to: run it\n{line}\n---\ntext").fields) == why


@pytest.mark.parametrize(
    "sheet",
    [
        '@import url("https://fonts.example/css2?family=A:wght@400;700&display=swap");\n.hid{display:none}',
        "<!--\n.hid{display:none}\n-->",
        ".hid{display:none",
    ],
)
def test_what_a_style_sheet_hides_is_not_read(sheet: str) -> None:
    assert parse_html(f"<style>{sheet}</style><body><p>seen<p class=hid>unseen").text.strip() == "seen"


def test_the_name_of_a_picture_is_no_title() -> None:
    assert parse_html("<body><svg><title>Icon</title></svg><p>text").title == ""


def test_a_separator_in_a_text_makes_no_row_names(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,text\n1,Hello, world\n2,Foo, bar\n3,Baz, qux\n")
    found = list(read_documents(DocumentsSettings(source="d.csv"), base=tmp_path, account=Account()))
    assert [type(each).__name__ for each in found] == ["BadRow"] * 3


@pytest.mark.parametrize(
    ("page", "read"),
    [
        ("export class notes as PDF to share them.\nSecond line.\n\nend", "export class notes"),
        ("export function keys work as before.\n\nend", "export function keys"),
        ("export const a = {\n\nThe rest of the page.\n\nMore", "The rest of the page."),
    ],
)
def test_prose_is_no_code(page: str, read: str) -> None:
    assert read in published_markdown(page).text
