from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.chunk.pieces import split_pieces
from nightrank.tasks.snippets.passage import PassageText
from nightrank.tasks.snippets.places import TermPlaces

ENGLISH = Analyser(("english",))
FILL = "Nothing of the kind is said in this sentence of words. "  # 55 characters


def shown(text: str, weights: dict[str, float], *, characters: int = 120) -> str:
    """A snippet with its highlights in brackets and an ellipsis where a sentence is cut."""
    [places] = TermPlaces(ENGLISH).find([text], [0], [weights])
    found = PassageText(text, characters=characters).passage(places, weights)
    assert found is not None
    assert 0 <= found.start < found.end <= len(text)
    assert found.end - found.start <= characters
    marked, at = "… " if found.cut_start else "", found.start
    for start, end in found.highlights:
        assert at <= start < end <= found.end
        marked += f"{text[at:start]}[{text[start:end]}]"
        at = end
    return marked + text[at : found.end] + (" …" if found.cut_end else "")


def test_the_sentence_with_the_terms_is_shown_and_not_the_first_one() -> None:
    text = FILL * 3 + "Bees make honey. Wax is theirs too. " + FILL * 3
    assert shown(text, {"bee": 2.0, "honey": 2.0}, characters=60) == "[Bees] make [honey]. Wax is theirs too."


def test_a_rare_term_counts_more_than_many_of_a_common_one() -> None:
    text = "Honey, honey, honey, honey and honey. " + FILL * 3 + "A drone has honey. " + FILL * 3
    weights = {"honey": 0.5, "drone": 4.0}
    assert shown(text, weights, characters=70).startswith("A [drone] has [honey].")


def test_among_equals_the_first_is_shown() -> None:
    text = FILL * 2 + "First of bees. " + FILL * 3 + "Second of bees. " + FILL * 2
    assert shown(text, {"bee": 1.0}, characters=75).startswith("First of [bees].")


def test_without_a_term_the_beginning_is_shown_behind_its_heading() -> None:
    text = f"# Of honey\n\nA text begins. {FILL * 5}"
    assert shown(text, {"wax": 1.0}).startswith("A text begins. Nothing")
    assert shown("# Only\n\n## Headings\n\n" * 20, {"wax": 1.0}).startswith("# Only")


def test_a_short_text_is_shown_whole_without_the_blanks_around_it() -> None:
    assert shown("\n\n  Wax.\tHoney! \n", {"honey": 1.0}) == "Wax.\t[Honey]!"


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_blank_text_has_no_snippet(text: str) -> None:
    assert PassageText(text, characters=240).passage([], {}) is None


def test_a_snippet_ends_before_the_next_heading_and_is_filled_with_what_stands_before() -> None:
    text = f"# Bees\n\n{FILL}Wax is made here.\n\n# Wasps\n\n{FILL * 4}"
    assert shown(text, {"wax": 1.0}) == f"{FILL}[Wax] is made here."


def test_a_long_sentence_is_cut_between_words_on_both_sides() -> None:
    words = [f"word{number}" for number in range(60)]
    words[30] = "honey"
    cut = shown(" ".join(words) + ".", {"honey": 1.0})
    assert cut.startswith("… word")
    assert cut.endswith(" …")
    assert "[honey]" in cut
    assert set(re.findall(r"\w+", cut)) <= set(words)
    beginning = shown(" ".join(["Honey", *words[:20], "honey", *words[40:]]), {"honey": 1.0}, characters=40)
    assert beginning.startswith("[Honey] word0")  # a sentence's start goes before a place within it
    assert beginning.endswith(" …")


def test_a_word_that_is_longer_than_a_snippet_is_cut_between_what_a_reader_takes_for_characters() -> None:
    family, accented = "👩‍👩‍👧‍👦", "e\u0301\u0308"
    assert shown(family * 30, {}, characters=40) == family * 5 + " …"  # 7 characters each
    assert shown(accented * 40, {}, characters=41) == accented * 13 + " …"


def test_text_without_spaces_is_cut_between_its_words() -> None:
    text = "蜂蜜は蜂が花の蜜から作る甘い食べ物で" * 10
    assert shown(text, {"花": 1.0}, characters=40).count("[花]") == 2
    thai = "รองเท้าผ้าใบใหม่มาก" * 10
    assert shown(thai, {}, characters=40).removesuffix(" …") in {thai[:38], thai[:40], thai[:34], thai[:30]}


def test_text_from_right_to_left_is_counted_as_it_is_stored() -> None:
    text = "مرحبا بالعالم. " * 12 + "العسل حلو جدا. " + "مرحبا بالعالم. " * 12
    assert shown(text, {"عسل": 1.0}, characters=40).startswith("[العسل] حلو جدا.")


def test_highlights_that_touch_are_one() -> None:
    assert shown("東京大学と本", {"東京": 1.0, "大学": 1.0}) == "[東京大学]と本"


WORDS = ["honey ", "Honey. ", "wax", "\n\n", "# Head\n", "- item ", "a" * 30, "! "]
OTHERS = ["e\u0301", "👩\u200d👧", "漢字", "ไทยแลนด์", "신발은 ", "\u200d", "ｶﾞ"]
PARTS = st.sampled_from(WORDS + OTHERS)


@given(st.lists(PARTS, max_size=60).map("".join), st.integers(min_value=40, max_value=90))
def test_whatever_the_text_a_snippet_is_a_part_of_it_that_fits_and_cuts_no_character(text: str, most: int) -> None:
    if not text.strip():
        return
    weights = {"honey": 1.0, "漢字": 2.0, "신발": 0.5}
    [places] = TermPlaces(ENGLISH).find([text], [0], [weights])
    found = PassageText(text, characters=most).passage(places, weights)
    assert found is not None
    assert 0 <= found.start < found.end <= len(text)
    assert found.end - found.start <= most
    assert text[found.start : found.end] == text[found.start : found.end].strip()
    if places:
        assert found.highlights
    ends = [0, *(end for pair in found.highlights for end in pair)]
    assert ends == sorted(ends)
    begins = {len(text) - len(text[piece.start :].lstrip()) for piece in split_pieces(text)}
    assert found.cut_start == (found.start not in begins)
    if found.end < len(text):
        assert not unicodedata.category(text[found.end]).startswith("M")
