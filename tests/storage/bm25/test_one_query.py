from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.bm25.one_query import OneQuery, cutting
from nightrank.storage.errors import MachineError
from nightrank.storage.keys import normalise_query
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.settings.index import Bm25Settings
from tests.support.bm25_collections import PLAIN, build

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = {
    "en": "The cat and the dog are in the house, and it is not the old one that we have seen. Trademark™ 3.10 c++",
    "en2": "Reading of files with the csv module, which is the one that you have for that; a file is read at once.",
    "de": "Der Hund und die Katze sind nicht in dem Haus, das wir gesehen haben; die Straße ist für alle Hunde da.",
    "fr": "Le chien et la maison ne sont pas dans la rue que nous avons vue avec les autres, mais elle est été là.",
    "zh": "北京大学的学生在图书馆里读书。全文検索エンジン",
    "th": "ภาษาไทยไม่มีการเว้นวรรคระหว่างคำ",
    "ru": "Собака и кошка живут в доме, который мы видели вчера.",
    "ko": "한국어 형태소는 조사가 붙는다",
    "ar": "الكلب والقط في البيت",
    "sign": "№ 5 ㎡ ⅷ ｆｕｌｌ ﬁne ²",
}
WORDS = sorted({word for text in TEXTS.values() for word in re.split(r"\W+", text) if word})
CHARACTERS = st.characters(codec="utf-8") | st.sampled_from(
    "aß2²™№㎡が々ｶﾞㅏ가ǅİıſ·'.-+\u0301\u0345\u200d\u3099\U0001f130"
)
QUERIES = st.lists(st.sampled_from(WORDS) | st.text(CHARACTERS, max_size=6), max_size=9).map(" ".join)


@pytest.fixture(scope="module", params=[{}, {"language": "none"}, {"fold_accents": True}, {"language": "french"}])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Bm25Store, Analyser, OneQuery]]:
    analyser = Analyser.of(Bm25Settings.model_validate(request.param))
    with Bm25Store.open(build(tmp_path_factory.mktemp("statistics"), TEXTS, analyser=analyser)) as store:
        yield store, analyser, OneQuery.of(store, analyser)


def by_sql(store: Bm25Store, texts: list[str], analyser: Analyser) -> list[dict[int, int]]:
    found: list[dict[int, int]] = [{} for _ in texts]
    for row in store.query_terms(texts, analyse=analyser).to_pylist():
        found[row["query_number"]][row["term_number"]] = row["qtf"]
    return found


@settings(max_examples=8)
@given(queries=st.lists(QUERIES, min_size=10, max_size=25))
def test_a_query_has_the_terms_that_it_has_among_many(
    both: tuple[Bm25Store, Analyser, OneQuery], queries: list[str]
) -> None:
    store, analyser, one = both
    texts = [normalise_query(query) for query in queries]
    found = [one.term_numbers(text) for text in texts]
    assert found == by_sql(store, texts, analyser)
    assert all(list(of) == sorted(of) for of in found)


@pytest.mark.parametrize("text", [*(normalise_query(text) for text in TEXTS.values()), "", " ", "!?", "the the hunde"])
def test_texts_of_every_script_and_none(both: tuple[Bm25Store, Analyser, OneQuery], text: str) -> None:
    store, analyser, one = both
    assert [one.term_numbers(text)] == by_sql(store, [text], analyser)


def test_each_character_is_of_the_class_that_duckdb_says() -> None:
    # Characters that Unicode has had for long are letters, digits or none in every version.
    for code in (*range(1, 0x250), *range(0x391, 0x3C9), 0x4E2D, 0x1F600):
        is_word = unicodedata.category(chr(code))[0] in "LN"
        assert (cutting().word.fullmatch(chr(code)) is not None) == is_word, hex(code)


def test_a_collection_that_was_analysed_in_another_way_is_refused(both: tuple[Bm25Store, Analyser, OneQuery]) -> None:
    store, analyser, one = both
    other = Analyser(("german",)) if analyser == PLAIN else PLAIN
    assert one.analyse == analyser
    with pytest.raises(MachineError, match="analysed in another way"):
        OneQuery.of(store, other)
