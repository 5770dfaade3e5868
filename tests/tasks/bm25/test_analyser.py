from __future__ import annotations

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.bm25.analyser import ENGLISH_STOP_WORDS, Analyser
from nightrank.tasks.settings.index import Bm25Settings


def test_lucene_has_33_english_stop_words() -> None:
    assert len(ENGLISH_STOP_WORDS) == 33


def test_stop_words_are_dropped_before_stemming() -> None:
    analyse = Analyser.of(Bm25Settings())
    # "ins" would be stemmed to "in", which is a stop word; written out it is none.
    assert analyse(["in", "ins", "running", "not"]) == [None, "in", "run", None]


def test_stop_words_can_be_kept() -> None:
    assert Analyser.of(Bm25Settings(stop_words=False))(["the", "cats"]) == ["the", "cat"]


def test_other_languages_are_stemmed_and_keep_all_their_words() -> None:
    assert Analyser.of(Bm25Settings(language="german"))(["und", "häuser", "strasse"]) == ["und", "haus", "strass"]


def test_without_a_language_words_stay_as_they_are() -> None:
    assert Analyser.of(Bm25Settings(language="none"))(["the", "cats"]) == ["the", "cats"]


@pytest.mark.parametrize(("language", "near"), [("englsh", "english"), ("German", "german")])
def test_an_unknown_language_is_named_with_its_nearest(language: str, near: str) -> None:
    with pytest.raises(InputError, match=f'"{language}" has no stemmer.*Did you mean "{near}"'):
        Analyser.of(Bm25Settings(language=language))


def test_a_language_like_none_is_answered_with_the_list() -> None:
    with pytest.raises(InputError, match=r"has no stemmer\. Choose one of: none, .*english"):
        Analyser.of(Bm25Settings(language="%%"))


def test_the_fingerprint_names_language_and_stop_words() -> None:
    variants = [
        Bm25Settings(),
        Bm25Settings(stop_words=False),
        Bm25Settings(language="german"),
        Bm25Settings(language="none"),
    ]
    assert len({Analyser.of(settings).fingerprint() for settings in variants}) == 4
    assert Analyser.of(Bm25Settings()).fingerprint() == Analyser.of(Bm25Settings(k1=2.0)).fingerprint()
