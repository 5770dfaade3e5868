from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.chunk.pieces import Cut, split_pieces

MARKUP = st.lists(
    st.sampled_from(
        [
            *("# A", "## B #", "#no", "\n", "\n\n", "\r\n", " ", "One. ", "Two! Three", "e.g. x", "- item", "1) x"),
            *("```", "~~~py", "code()", "| a | b |", "。", "第一。第二", "...", "\t", "“Q.” She", "\x85", "é", "a.b"),
        ]
    ),
    max_size=30,
).map("".join)


def slices(text: str) -> list[str]:
    return [text[piece.start : piece.end] for piece in split_pieces(text)]


@given(st.one_of(MARKUP, st.text(max_size=60)))
def test_pieces_are_the_text_again_and_none_is_blank(text: str) -> None:
    found = slices(text)
    assert "".join(found) == text
    if text.strip():
        assert all(piece.strip() for piece in found)


@given(MARKUP)
def test_no_word_is_cut_but_at_east_asian_full_stops(text: str) -> None:
    for piece in split_pieces(text)[1:]:
        before, after = text[piece.start - 1], text[piece.start]
        assert before.isspace() or (before == "。" and not after.isspace())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("He paid 3.50 at 4 p.m. today.", ["He paid 3.50 at 4 p.m. today."]),
        ("Dr. Ada met J. Smith, e.g. Tuesday. Fine.", ["Dr. Ada met J. Smith, e.g. Tuesday. ", "Fine."]),
        ("She said “Go.” Then left.", ["She said “Go.” ", "Then left."]),
        ("Siehe z.B. Abb. drei. Über alles.", ["Siehe z.B. Abb. drei. ", "Über alles."]),
        ("第一。第二！三", ["第一。", "第二！", "三"]),
        ("पहला। दूसरा।", ["पहला। ", "दूसरा।"]),
        ("ما هذا؟ كتاب.", ["ما هذا؟ ", "كتاب."]),
        ("ሰላም።ቤት።", ["ሰላም።", "ቤት።"]),
        ("នេះ។នោះ", ["នេះ។", "នោះ"]),
        ("ဒါ။ဟို", ["ဒါ။", "ဟို"]),
        ("Wrapped\nlines stay. Next", ["Wrapped\nlines stay. ", "Next"]),
        ("- one\n  more\n- two\n3. three", ["- one\n  more\n", "- two\n", "3. three"]),
        (
            "A.\n```\nx = 1\n\n# no heading. No end\n```\nB.",
            ["A.\n", "```\nx = 1\n\n", "# no heading. No end\n```\n", "B."],
        ),
    ],
)
def test_sentences_of_several_languages_lists_and_code(text: str, expected: list[str]) -> None:
    assert slices(text) == expected


def test_headings_in_force_and_places_to_cut() -> None:
    text = "Intro.\n# Top\n## C# ##\nText. More.\n\nPara.\n## Other\nLast.\n# New\nEnd."
    pieces = [(text[piece.start : piece.end].strip(), piece.cut, piece.headings) for piece in split_pieces(text)]
    assert pieces == [
        ("Intro.", Cut.BLOCK, ()),
        ("# Top", Cut.HEADING, ()),
        ("## C# ##", Cut.AFTER_HEADING, ("Top",)),
        ("Text.", Cut.AFTER_HEADING, ("Top", "C#")),
        ("More.", Cut.SENTENCE, ("Top", "C#")),
        ("Para.", Cut.BLOCK, ("Top", "C#")),
        ("## Other", Cut.HEADING, ("Top",)),
        ("Last.", Cut.AFTER_HEADING, ("Top", "Other")),
        ("# New", Cut.HEADING, ()),
        ("End.", Cut.AFTER_HEADING, ("New",)),
    ]


@pytest.mark.parametrize("unit", ["a", ". ", "# x ", "\n", "`", "- ", "(", "a.b", "。", "# " + " " * 50 + "x"])
def test_time_grows_with_the_text_alone(unit: str) -> None:
    text = unit * (300_000 // len(unit)) + "."
    began = time.process_time()
    assert "".join(slices(text)) == text
    assert time.process_time() - began < 10  # a quadratic pattern would take minutes


def test_underlined_headings_bound_and_lead_as_those_with_signs_do() -> None:
    text = (
        "Intro.\n\nGuide\n=====\nText. More.\n\nSet\napart\n---\nPara.\n\n- item\n---\n\na | b\n--- | ---\n\n---\nLast."
    )
    pieces = [(text[piece.start : piece.end].strip(), piece.cut, piece.headings) for piece in split_pieces(text)]
    assert pieces == [
        ("Intro.", Cut.BLOCK, ()),
        ("Guide\n=====", Cut.HEADING, ()),
        ("Text.", Cut.AFTER_HEADING, ("Guide",)),
        ("More.", Cut.SENTENCE, ("Guide",)),
        ("Set\napart\n---", Cut.HEADING, ("Guide",)),
        ("Para.", Cut.AFTER_HEADING, ("Guide", "Set apart")),
        ("- item\n---", Cut.BLOCK, ("Guide", "Set apart")),
        ("a | b\n--- | ---", Cut.BLOCK, ("Guide", "Set apart")),
        ("---\nLast.", Cut.BLOCK, ("Guide", "Set apart")),
    ]


def test_a_line_under_a_long_paragraph_or_in_code_makes_no_heading() -> None:
    long = "word " * 100
    for text in (f"{long}\n---\nText.", "```\nTitle\n=====\n```\nText.", "> quoted\n\n===\nText."):
        assert all(piece.headings == () for piece in split_pieces(text)), text
