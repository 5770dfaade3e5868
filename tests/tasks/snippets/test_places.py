from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.bm25.index import Bm25Store
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.settings.index import Bm25Settings
from nightrank.tasks.snippets.places import TermPlaces
from tests.support.bm25_collections import build

if TYPE_CHECKING:
    from pathlib import Path

ENGLISH = Analyser(("english",))
TEXTS = [
    "The rankings were ranked: 3.5 by ranking, re-ranked; RANK it!",
    "Straße, ﬁne ４２ and ℃ of the ㎡; naïve café cafe\u0301, 1ª, x²",
    "日本語のプログラミングガイド、東京大学。中文分词",
    "รองเท้าผ้าใบ น้ำ ทำ",
    "신발은 책 한국어를",
    "ｶﾀｶﾅと漢字まじりのPython入門2024",
    "книги И Книга, ελληνικά γράμματα, שלום עולם, مرحبا بالعالم",
    "emoji 👩‍👩‍👧 and 🇩🇪 flags, don't e-mail a_b c++ 🏃🏽 runs",
    "Kranken\u00adversicherung zero\u200bwidth İSTANBUL ısparta",
    "𝐁𝐨𝐥𝐝 letters 𠮷野家 and Ⅳ, ½ and ①",
    "",
]


@pytest.mark.parametrize("analyser", [ENGLISH, Analyser(("none",)), Analyser.of(Bm25Settings(fold_accents=True))])
def test_every_term_that_the_index_counts_has_its_places(tmp_path: Path, analyser: Analyser) -> None:
    path = build(tmp_path, {f"d{number}": text for number, text in enumerate(TEXTS)}, analyser=analyser)
    with Bm25Store.open(path) as store:
        language_of = {row["document_id"]: row["language"] for row in store.chunks().to_pylist()}
        asked = store.text_terms(TEXTS, analyse=analyser)
        numbers = np.unique(asked["term_number"].to_numpy())
        term_of = dict(zip(numbers.tolist(), store.terms_at(numbers)["term"].to_pylist(), strict=True))
    counted: list[Counter[str]] = [Counter() for _ in TEXTS]
    for row in asked.to_pylist():
        counted[row["query_number"]][term_of[row["term_number"]]] += row["qtf"]
    found = TermPlaces(analyser).find(
        TEXTS, [language_of[f"d{number}"] for number in range(len(TEXTS))], [set(term_of.values())] * len(TEXTS)
    )
    assert [Counter(place.term for place in places) for places in found] == counted


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("The Rankings were ranked.", "rank", ["Rankings", "ranked"]),
        ("ranking 👩‍👩‍👧 🏃🏽 ranked", "rank", ["ranking", "ranked"]),
        ("cafe\u0301s and CAFÉ", "café", ["cafe\u0301s", "CAFÉ"]),
        ("東京大学の本", "東京", ["東京"]),
        ("これはﾌﾟﾛｸﾞﾗﾐﾝｸﾞガイド", "プログラミング", ["ﾌﾟﾛｸﾞﾗﾐﾝｸﾞ"]),
        ("รองเท้าผ้าใบ", "ผ้าใบ", ["ผ้าใบ"]),
        ("네 신발은", "발은", ["발은"]),
        ("read ﬁles", "file", ["ﬁles"]),
        ("مرحبا بالعالم", "عالم", ["بالعالم"]),
        ("𠮷野家 𝐫𝐚𝐧𝐤𝐞𝐝", "rank", ["𝐫𝐚𝐧𝐤𝐞𝐝"]),
        ("Python入門", "python", ["Python"]),
        ("100㎏の米", "kg", ["100㎏"]),  # one sign that stands for several letters is in its word as a whole
    ],
)
def test_places_are_characters_of_the_text_as_it_is_written(text: str, term: str, expected: list[str]) -> None:
    [places] = TermPlaces(ENGLISH).find([text], [0], [{term, "100kg"}])
    assert [text[place.start : place.end] for place in places] == expected


def test_only_terms_that_are_looked_for_are_found_and_what_is_known_is_not_analysed_again() -> None:
    finder = TermPlaces(ENGLISH)
    assert finder.find(["cats and dogs"] * 2, [0, 0], [{"cat"}, {"dog"}]) == [[(0, 4, "cat")], [(9, 13, "dog")]]
    finder._analyse = None  # type: ignore[assignment]  # another question would fail
    assert finder.find(["dogs and cats"], [0], [{"cat", "dog", "and"}]) == [[(0, 4, "dog"), (9, 13, "cat")]]
