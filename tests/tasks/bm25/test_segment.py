from __future__ import annotations

import unicodedata

import pytest

from nightrank.tasks.bm25.segment import split_words

TEXTS = ["退货政策", "プログラミングガイド", "รองเท้าผ้าใบ", "신발은", "책", "ຂ້ອຍຢາກ", "ꦱꦼꦥꦠꦸ", "ꆈꌠꁱꂷ"]


def test_a_text_is_split_alike_whatever_stands_beside_it() -> None:
    assert split_words(TEXTS) == [split_words([text])[0] for text in TEXTS]
    assert split_words([]) == []


def test_nothing_of_a_text_is_lost_where_words_do_not_overlap() -> None:
    for text in TEXTS[:3]:
        assert "".join(split_words([text])[0]) == text


@pytest.mark.parametrize("text", ["น้ำ", "ทำงาน", "ນ້ຳ"])
def test_vowels_that_normalising_takes_apart_are_whole_again(text: str) -> None:
    assert split_words([unicodedata.normalize("NFKC", text)]) == split_words([text])


@pytest.mark.parametrize("text", ["ꦱꦼꦥꦠꦸꦧꦶꦱ", "ꆈꌠꁱꂷ", "ᥖᥭᥰᥖᥬᥳ", "ᬅᬓ᭄ᬱᬭ"])
def test_scripts_without_a_dictionary_are_pairs_of_characters(text: str) -> None:
    (terms,) = split_words([text])
    assert len(terms) > 1
    assert all(text.find(term) >= 0 for term in terms)
