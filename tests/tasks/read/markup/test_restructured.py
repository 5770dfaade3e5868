from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.read.markup.restructured import parse_restructured


def text_of(source: str) -> str:
    return parse_restructured(source)[2]


def test_section_titles_become_headings_by_the_order_of_their_adornments() -> None:
    source = "=======\nManual\n=======\n\nOne\n---\nText.\n\nTwo\n...\nMore.\n\nThree\n-----\nEnd."
    assert parse_restructured(source) == (
        {},
        "Manual",
        "# Manual\n\n## One\nText.\n\n### Two\nMore.\n\n## Three\nEnd.",
    )


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (".. a comment\n   of two lines\n\nText.", "Text."),
        ("..\n   a comment\n\nText.", "Text."),
        (".. _target:\n\nText.", "Text."),
        (".. toctree::\n   :maxdepth: 2\n\n   intro\n   usage\n\nText.", "Text."),
        (".. raw:: html\n\n   <b>x</b>\n\nText.", "Text."),
        (".. image:: a.png\n   :alt: An image\n\nText.", "Text."),
        (".. include:: /etc/passwd\n\nText.", "Text."),
        (".. note:: Mind this.\n\nText.", "Mind this.\n\nText."),
        (".. note::\n   :class: wide\n\n   Mind *this*.\n\nText.", "Mind *this*.\n\nText."),
        (".. py:function:: join(a, b)\n\n   Joins them.\n\n   .. versionadded:: 3.1\n      With b.", "join(a, b)"),
        (".. [1] A footnote\n   goes on.", "A footnote\ngoes on."),
        (".. |it| replace:: Nightrank\n\nUse |it| and |that|.", "Use Nightrank and |that|."),
        ("See :ref:`the guide <guide>`, :meth:`~a.b.c`, :class:`Dog`.", "See the guide, c, Dog."),
        ("A `link <https://e.org>`_, ``code``, `name`_ [1]_.", "A link, code, name."),
        ("snow\\ ball \\*star\\*", "snowball *star*"),
        ("Text.\n\n--------\n\nMore.", "Text.\n\nMore."),
        ("+---+---+\n| a | b |\n+---+---+", "| a | b |"),
        ("=== ===\nA   B\n=== ===\n1   2\n=== ===", "A   B\n1   2"),
    ],
)
def test_what_readers_see_is_kept_and_nothing_else(source: str, seen: str) -> None:
    found = text_of(source)
    assert found == seen or (found.startswith(seen) and "Joins them." in found and "With b." in found)


def test_code_is_fenced_so_that_its_hashes_are_no_headings() -> None:
    assert text_of("Run::\n\n    # not a heading\n    x = 1\n\nDone.") == (
        "Run:\n\n```\n# not a heading\nx = 1\n```\n\nDone."
    )
    assert text_of(".. code-block:: python\n   :linenos:\n\n   # x\n") == "```\n# x\n```"


def test_the_field_list_at_the_head_is_metadata() -> None:
    metadata, title, text = parse_restructured(":orphan:\n:Date: 2024-06-03\n\nA\n=\n\n:param x: a number\n")
    assert (metadata, title) == ({"orphan": True, "date": "2024-06-03"}, "A")
    assert ":param x: a number" in text


def test_directives_in_directives_end_somewhere() -> None:
    source = "".join(f"{'   ' * level}.. note::\n\n" for level in range(200)) + "   " * 200 + "deep"
    assert "deep" in text_of(source)


@given(st.text(alphabet=".:`_=-*|[]<>\\ \nab", max_size=60))
def test_any_text_is_read(source: str) -> None:
    parse_restructured(source)
