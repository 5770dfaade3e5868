from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.read.markup.asciidoc import parse_asciidoc


def text_of(source: str) -> str:
    return parse_asciidoc(source)[2]


def test_the_header_gives_title_and_metadata() -> None:
    source = "// licence\n= The Guide\nAnn Lee <ann@example.org>\nv1.2, 2024-06-03\n:lang: en\n:toc:\n\nText.\n"
    assert parse_asciidoc(source) == ({"lang": "en", "toc": True}, "The Guide", "# The Guide\n\nText.")


def test_a_page_without_a_document_title_has_its_first_section_title() -> None:
    assert parse_asciidoc("Text.\n\n== Run *it*\n\nNow.") == ({}, "Run *it*", "Text.\n\n## Run *it*\n\nNow.")


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("// internal\nText.", "Text."),
        ("////\ninternal\n////\nText.", "Text."),
        ("Text.\n\n++++\n<video/>\n++++", "Text."),
        ("Text.\n\nimage::a.png[An image]\n\ninclude::secret.adoc[]", "Text."),
        ("Text.\n\nifdef::x[]\nMore.\nendif::[]", "Text.\n\nMore."),
        ("Text.\n\n[NOTE]\n====\nMind this.\n====", "Text.\n\nMind this."),
        ("Text.\n\n.Title of a block\n****\nBeside.\n****", "Text.\n\nTitle of a block\nBeside."),
        ("Text.\n\n[[anchor]]\nitem\n+\nmore", "Text.\n\nitem\nmore"),
        ("See xref:a.adoc[the guide], <<b,part B>>, <<c>>.", "See the guide, part B, c."),
        ("See https://example.org[our site^] and link:x.html[X].", "See our site and X."),
        ("Press kbd:[F1] on image:i.png[icon]it.", "Press F1 on it."),
        ("Line one +\nline two", "Line one\nline two"),
        ("Text.\n\n|===\n|a |b\n|===", "Text.\n\n|a |b"),
        ("Text [.red]#in red#.", "Text in red."),
        ("[comment]\nnot shown\nnor this\n\nText.", "Text."),
        ("[comment]\n--\nnot shown\n\nnor this\n--\nText.", "Text."),
        ("[comment#id]\n====\nnot shown\n\n----\ncode\n----\n====\nText.", "Text."),
        ("----\n[comment]\nis shown\n----", "```\n[comment]\nis shown\n```"),
        ("The ((whale)) swims (((animal, whale))).", "The whale swims."),
        ("(((animal,whale)))\nThe whale.", "The whale."),
    ],
)
def test_what_readers_see_is_kept_and_nothing_else(source: str, seen: str) -> None:
    assert text_of(source) == seen


def test_code_is_fenced_so_that_its_hashes_are_no_headings() -> None:
    source = "Run:\n\n[source,sh]\n----\n# not a heading\n== nor this\n----\n\nDone."
    assert text_of(source) == "Run:\n\n```\n# not a heading\n== nor this\n```\n\nDone."


def test_attributes_stand_for_their_values_once() -> None:
    source = "= T\n:name: Nightrank\n:loop: {loop}\n\nUse {name}, {loop}, {unknown}."
    assert text_of(source) == "# T\n\nUse Nightrank, {loop}, {unknown}."


def test_a_block_that_is_never_closed_ends_with_the_page() -> None:
    assert text_of("Text.\n\n----\n# code") == "Text.\n\n```\n# code\n```"


@given(st.text(alphabet="=.:/-+*[]{}<>|` \nab", max_size=60))
def test_any_text_is_read(source: str) -> None:
    parse_asciidoc(source)
