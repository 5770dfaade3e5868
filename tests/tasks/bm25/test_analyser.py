from __future__ import annotations

import re
import unicodedata
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import duckdb
import pytest

from nightrank.storage.bm25.fields import SIGNS
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.characters import folded
from nightrank.storage.errors import InputError
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.languages import word_lists
from nightrank.tasks.languages import LANGUAGES, language_called
from nightrank.tasks.settings.index import Bm25Settings
from tests.support.bm25_collections import build
from tests.support.bm25_files import build as build_file
from tests.support.bm25_files import placed

if TYPE_CHECKING:
    from pathlib import Path


def analyser(**settings: object) -> Analyser:
    return Analyser.of(Bm25Settings.model_validate(settings))


def test_lucene_has_33_english_stop_words() -> None:
    assert len(word_lists()["english"].stop_words) == 33


def test_every_list_is_of_a_language_that_is_known_and_folded_as_words_are() -> None:
    for name, lists in word_lists().items():
        assert name in LANGUAGES
        assert all(word == folded(word) for word in lists.stop_words)
        assert all(word == word.lower() for word in lists.marks)


def test_stop_words_are_dropped_before_stemming() -> None:
    # "ins" would be stemmed to "in", which is a stop word; written out it is none.
    assert analyser()(["in", "ins", "running", "not"], 0) == [None, "in", "run", None]


def test_stop_words_can_be_kept() -> None:
    assert analyser(stop_words=False)(["the", "cats"], 0) == ["the", "cat"]


def test_other_languages_have_stop_words_of_their_own() -> None:
    assert analyser(language="german")(["und", "häuser", "the"], 0) == [None, "haus", "the"]


def test_without_a_language_words_stay_as_they_are() -> None:
    assert analyser(language="none")(["the", "cats", "книги"], 0) == ["the", "cats", "книги"]


@pytest.mark.parametrize("language", ["german", "de", "DE", "de-AT", "de_CH", "deu", "Deutsch"])
def test_a_language_is_known_by_its_name_and_its_codes(language: str) -> None:
    if language == "Deutsch":
        with pytest.raises(InputError, match='"Deutsch" is not known'):
            analyser(language=language)
    else:
        assert analyser(language=language).languages == ("german",)


@pytest.mark.parametrize("language", ["thai", "th", "chinese", "zh-Hant", "japanese", "korean", "khmer", "my", "lo"])
def test_a_language_without_spaces_is_known_and_latin_words_among_it_are_english(language: str) -> None:
    assert analyser(language=language)(["servers"], 0) == ["server"]


def test_words_in_another_script_are_taken_for_its_main_language() -> None:
    assert analyser(language="german")(["häuser", "книги", "και"], 0) == ["haus", "книг", None]
    assert analyser(language="bulgarian")(["книгите", "servers"], 0) == ["книги", "server"]


def test_an_unknown_language_is_answered_with_its_nearest_and_what_can_be_written() -> None:
    with pytest.raises(InputError, match=r'"englsh" is not known\. Did you mean "english"\? Write "auto".*"none"'):
        analyser(language="englsh")
    with pytest.raises(InputError, match=r'"%%" is not known\. Write "auto"'):
        analyser(language="%%")
    assert language_called("tahi") is None


def test_accents_are_folded_before_stemming_so_that_both_spellings_are_one() -> None:
    folding = analyser(language="french", fold_accents=True)
    assert folding(["préférées", "preferees", "łódź"], 0) == ["prefere", "prefere", "lodz"]
    assert folding(["ποτέ", "ποτε"], 0) == [folding(["ποτε"], 0)[0]] * 2
    assert analyser()(["café", "cafe"], 0) == ["café", "cafe"]


def test_the_fingerprint_names_language_and_stop_words() -> None:
    variants: list[dict[str, object]] = [
        {},
        {"stop_words": False},
        {"fold_accents": True},
        {"language": "german"},
        {"language": "none"},
        {"language": "english"},
    ]
    assert len({analyser(**settings).fingerprint() for settings in variants}) == len(variants)
    assert analyser().fingerprint() == analyser(k1=2.0).fingerprint()


GERMAN = "Die Häuser sind nicht so teuer, wie wir es von der Stadt erwartet haben."
ENGLISH = "The houses are not as expensive as we would have expected of the city."
FRENCH = "Les maisons ne sont pas aussi chères que nous l'avions pensé dans la ville."


def found(store: Bm25Store, query: str, *, language: str) -> set[str]:
    """The documents that share a term with a query."""
    from nightrank.tasks.bm25.retrieve import retrieve_bm25

    settings = Bm25Settings(language=language)
    leg = retrieve_bm25(store, [query], settings=settings, analyser=Analyser.of(settings), depth=10)
    return set(store.chunks_at(leg["chunk_number"].to_numpy(), ["document_id"])["document_id"].to_pylist())


def test_each_text_is_analysed_in_its_own_language_and_a_word_is_asked_in_all_of_them(tmp_path: Path) -> None:
    auto = analyser(language="auto")
    with Bm25Store.open(build(tmp_path, {"de": GERMAN, "en": ENGLISH, "fr": FRENCH}, analyser=auto)) as store:
        assert found(store, "Haus", language="auto") == {"de"}
        assert found(store, "house", language="auto") == {"en"}
        assert found(store, "maison", language="auto") == {"fr"}
        assert found(store, "wie teuer sind die Häuser nicht", language="auto") == {"de"}


def test_english_texts_have_the_same_terms_whether_their_language_is_given_or_found(tmp_path: Path) -> None:
    terms = []
    for language in ("english", "auto"):
        folder = tmp_path / language
        folder.mkdir()
        with Bm25Store.open(build(folder, {"en": ENGLISH}, analyser=analyser(language=language))) as store:
            terms.append(store.query_terms([ENGLISH, "houses", "the"], analyse=analyser(language=language)).to_pydict())
    assert terms[0] == terms[1]


def test_one_word_however_often_makes_no_language(tmp_path: Path) -> None:
    auto = analyser(language="auto")
    text = "Sea level rise. SEA ice and the sea: high-level sea rises."  # "sea" is a stop word of Spanish
    with Bm25Store.open(build(tmp_path, {"a": text, "b": ENGLISH}, analyser=auto)) as store:
        assert store.text_terms([text], analyse=auto).num_rows == len({"sea", "level", "rise", "ice", "high"})


@pytest.mark.parametrize(
    "text",
    [
        "operator.add(a, b): Return a + b, for a and b numbers. operator.concat(a, b): a + b for a and b sequences.",
        "di = dict(); si = di[0]; di[1] = si; for di in si: di += si; print(di, si)",
        "con.execute(sql); con.commit(); con.close(); non = con.cursor(); con.rollback(); non.close()",
        "é, à, ó and ý stand for vowels: i o u e",
    ],
)
def test_names_in_code_make_no_language_however_often_they_come(tmp_path: Path, text: str) -> None:
    assert language_of_each(tmp_path, {"code": text, "de": GERMAN}) == {"code": "english", "de": "german"}


def language_of_each(folder: Path, texts: dict[str, str]) -> dict[str, str]:
    """The language that each text is taken for."""
    auto = analyser(language="auto")
    chunks, _ = contents(build(folder, texts, analyser=auto))
    return {str(chunk_id).removesuffix("#0"): auto.languages[number] for chunk_id, number, _ in chunks}  # type: ignore[call-overload]


def test_a_query_is_asked_in_common_languages_and_not_in_that_of_a_stray_text(tmp_path: Path) -> None:
    auto = analyser(language="auto")
    query = "die hard houses"  # "die" is a stop word of German
    terms = []
    for name, english in (("stray", 60), ("common", 20)):
        (folder := tmp_path / name).mkdir()
        texts = {"de": GERMAN, "die": "The die is cast, so hard!", **{str(n): f"{ENGLISH} {n}" for n in range(english)}}
        with Bm25Store.open(build(folder, texts, analyser=auto)) as store:
            terms.append(store.query_terms([query], analyse=auto).num_rows)
    assert terms == [3, 2]


def test_a_query_that_is_clearly_of_a_language_is_asked_in_it_though_few_texts_are(tmp_path: Path) -> None:
    auto = analyser(language="auto")
    texts = {"de": GERMAN, **{str(number): f"{ENGLISH} {number}" for number in range(60)}}
    with Bm25Store.open(build(tmp_path, texts, analyser=auto)) as store:
        assert found(store, "wie teuer sind die Häuser nicht", language="auto") == {"de"}


def test_a_text_is_of_one_language_whatever_lies_beside_it(tmp_path: Path) -> None:
    auto = analyser(language="auto")
    texts = {"de": GERMAN, "en": ENGLISH, "fr": FRENCH}
    with Bm25Store.open(build(tmp_path, texts, analyser=auto)) as store:
        together = store.text_terms(list(texts.values()), analyse=auto).to_pydict()
        alone = [store.text_terms([text], analyse=auto) for text in texts.values()]
    assert together["term_number"] == [number for one in alone for number in one["term_number"].to_pylist()]


FOLDED = {
    "Acme™ widgets, Fizz℠": "acmetm widgets fizzsm",
    "25℃ or 77℉": "25 °c or 77 °f",
    "10㎡ and 10 m²; 3㎏": "10m2 and 10 m2 3kg",
    "№5 ﬁne ﬂow ＡＢＣ４２ Ⅳ ½": "no5 fine flow abc42 iv 1 2",
    "ⓐⓑ ㈱アクメ ㍿ ㋿": "ab 株 アクメ 株式会社 令和",
    "⽇本 ⼈": "日本 人",
    "İSTANBUL ısparta": "istanbul isparta",
    "Ka\u0308se, Cafe\u0301": "Käse Café",
    "\u1109\u1175\u11ab\u1107\u1161\u11af": "신발",
    "ﻛﺘﺎﺏ ﷼": "كتاب ریال",
    "α\u0345 and \u0345": "αι and ι",
    "x\u00b4s \u2026 a\u20e3": "x s a\u20e3",
}


def test_a_text_has_the_terms_of_its_folded_form_whatever_folding_takes_apart(tmp_path: Path) -> None:
    english = analyser(language="english", stop_words=False)
    texts = {f"{number}": f"{text} {asked}" for number, (text, asked) in enumerate(FOLDED.items())}
    with Bm25Store.open(build(tmp_path, texts, analyser=english)) as store:
        spellings = [one for text, asked in FOLDED.items() for one in (text, folded(text), asked)]
        terms = store.text_terms(spellings, analyse=english)
    of: dict[int, set[int]] = {number: set() for number in range(len(spellings))}
    for text_number, term in zip(terms.column(0).to_pylist(), terms["term_number"].to_pylist(), strict=True):
        of[text_number].add(term)
    for number in range(0, len(spellings), 3):
        assert of[number] == of[number + 1] == of[number + 2] != set(), spellings[number]


def test_every_sign_that_folding_makes_letters_or_digits_of_is_part_of_a_run() -> None:
    is_sign = re.compile(f"[{re.sub(r'x{([0-9A-F]+)}', lambda found: f'U{int(found[1], 16):08x}', SIGNS)}]")
    for character in map(chr, range(0x80, 0x30000)):
        kind = unicodedata.category(character)
        if kind[0] in "MPSZ":
            holds = any(unicodedata.category(one)[0] in "LN" for one in folded(character))
            assert holds == bool(is_sign.match(character)), f"U+{ord(character):04X}"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_language_is_told_by_its_words_composed_or_not(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    marks = [word for word in sorted(word_lists()["german"].marks) if not word.isascii()]
    text = unicodedata.normalize(form, " ".join(marks[:6]))
    assert language_of_each(tmp_path, {"de": text}) == {"de": "german"}


UNSPACED = {
    "zh": "退货政策：十四天内可以退回鞋子。",
    "ja": "靴の返品は十四日以内にお願いします。プログラミングガイドはこちら。GPUを使う",
    "th": "คุณสามารถคืนรองเท้าภายในสิบสี่วัน พ.ศ. ๒๕๖๗",
    "ko": "신발은 십사일 이내에 반품할 수 있습니다",
    "my": "ဖိနပ်ကို ပြန်ပေးနိုင်သည်",
    "km": "អ្នកអាចប្រគល់ស្បែកជើងវិញ",
    "lo": "ຂ້ອຍຢາກສົ່ງເກີບຄືນ",
}
ASKED = {
    "退货": "zh",
    "返品": "ja",
    "ガイド": "ja",
    "ｶﾞｲﾄﾞ": "ja",
    "カ\u3099イト\u3099": "ja",
    "gpu": "ja",
    "รองเท้า": "th",
    "2567": "th",
    "신발": "ko",
    "반품": "ko",
    "ဖိနပ်": "my",
    "ស្បែកជើង": "km",
    "ເກີບ": "lo",
}


@pytest.mark.parametrize("language", ["english", "auto", "none"])
def test_words_of_scripts_without_spaces_are_found(tmp_path: Path, language: str) -> None:
    with Bm25Store.open(build(tmp_path, UNSPACED, analyser=analyser(language=language))) as store:
        assert {query: found(store, query, language=language) for query in ASKED} == {
            query: {document_id} for query, document_id in ASKED.items()
        }


def contents(path: Path) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What a file says: chunks with their languages and lengths, and term frequencies."""
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        chunks = connection.sql("SELECT chunk_id, language, length FROM chunks ORDER BY chunk_id").fetchall()
        frequencies = connection.sql(
            "SELECT chunk_id, term, tf FROM postings JOIN chunks USING (slot) JOIN terms USING (term_slot) ORDER BY ALL"
        ).fetchall()
    return chunks, frequencies


def test_languages_of_an_incremental_night_are_those_of_a_rebuild(tmp_path: Path) -> None:
    auto = analyser(language="auto")
    yesterday = placed([("de", 0, GERMAN), ("en", 0, ENGLISH), ("th", 0, UNSPACED["th"])])
    tonight = placed([("fr", 0, FRENCH), ("moved", 0, GERMAN), ("ja", 0, UNSPACED["ja"]), ("th", 0, UNSPACED["th"])])
    build_file(tmp_path / "before.duckdb", yesterday, analyse=auto)
    build_file(tmp_path / "night.duckdb", tonight, analyse=auto, before=tmp_path / "before.duckdb")
    build_file(tmp_path / "rebuilt.duckdb", tonight, analyse=auto)
    found = contents(tmp_path / "night.duckdb")
    assert found == contents(tmp_path / "rebuilt.duckdb")
    languages = {str(chunk_id): auto.languages[number] for chunk_id, number, _ in found[0]}  # type: ignore[call-overload]
    assert languages == {"fr#0": "french", "moved#0": "german", "ja#0": "english", "th#0": "english"}
