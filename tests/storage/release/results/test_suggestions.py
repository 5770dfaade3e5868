from __future__ import annotations

import json
import random
import unicodedata
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.keys import normalise_query, query_key
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.file import write_results_file
from nightrank.storage.release.results.suggestions import FEW, MOST
from nightrank.storage.serving.cache import SearchCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ENTRY = {"rank": 1, "document_id": "d", "chunk_id": "d#0", "score": 1.0, "title": "", "text": "", "metadata": {}}


def cache_of(
    folder: Path, texts: Sequence[str], *, suggests: Callable[[str], bool] | None = lambda _: True, empty: str = "-"
) -> SearchCache:
    """A release of queries, those most in demand first, each with a result, but for one."""
    normalised = list(dict.fromkeys(map(normalise_query, texts)))
    rows = [(query_key(text), text, json.dumps([] if text == empty else [ENTRY])) for text in normalised]
    write_results_file(ReleaseFiles(folder).results.path, rows, suggests=suggests)
    return SearchCache(folder, release_id="r1")


def test_what_begins_alike_is_suggested_by_demand(tmp_path: Path) -> None:
    with cache_of(tmp_path, ["tea", "coffee", "Teapot", "green tea", "tea with honey"]) as cache:
        assert cache.suggest("te") == ("tea", "teapot", "tea with honey")
        assert cache.suggest("  TEA") == cache.suggest("tea")
        assert cache.suggest("tea ") == ("tea with honey",)
        assert cache.suggest("te", limit=1) == ("tea",)
        assert cache.suggest("x") == ()


def test_nothing_typed_has_the_first_of_all(tmp_path: Path) -> None:
    with cache_of(tmp_path, ["tea", "coffee", "milk"]) as cache:
        assert cache.suggest("", limit=2) == cache.suggest(" \t ", limit=2) == ("tea", "coffee")


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("東京大学", "東"),
        ("café", "cafe"),
        ("cafe\u0301 au lait", "CAFÉ "),
        ("한국어", "하"),  # the syllable 한 before its last sound is typed
        ("한국어", "ㅎ"),
        ("straße", "STRASS"),
        ("ｆｕｌｌ width", "full"),
        ("مرحبا", "مر"),
        ("👩\u200d👧 family", "👩"),
        ("İstanbul", "i"),
        ("100%_'; drop table", "100%_'"),
    ],
)
def test_scripts_are_found_as_they_are_typed(tmp_path: Path, text: str, typed: str) -> None:
    with cache_of(tmp_path, ["zzz", text]) as cache:
        assert cache.suggest(typed) == (normalise_query(text),)


@pytest.mark.parametrize("typed", ["%", "_", "'; DROP TABLE suggestions; --", "\x00", "\ud83d", "?", "a" * 100_000])
def test_nothing_typed_is_read_as_a_pattern(tmp_path: Path, typed: str) -> None:
    with cache_of(tmp_path, ["tea"]) as cache:
        assert cache.suggest(typed) == ()


def test_many_are_what_a_scan_of_all_finds(tmp_path: Path) -> None:
    generator = random.Random(1)
    texts = list(dict.fromkeys("".join(generator.choices("abcé ", k=generator.randint(1, 7))) for _ in range(6 * FEW)))
    texts = list(dict.fromkeys(filter(None, map(normalise_query, texts))))
    with cache_of(tmp_path, texts) as cache:
        for typed in ["", "a", "ab", "abc", "é", "e", "abca", *(text[:3] for text in texts[:50])]:
            form = unicodedata.normalize("NFD", typed)
            expected = [text for text in texts if unicodedata.normalize("NFD", text).startswith(form)]
            assert cache.suggest(typed, limit=MOST) == tuple(expected[:MOST])


def test_only_what_may_be_and_has_results_is_suggested(tmp_path: Path) -> None:
    with cache_of(
        tmp_path, ["tea", "te secret", "ten"], suggests=lambda text: "secret" not in text, empty="ten"
    ) as cache:
        assert cache.suggest("te") == ("tea",)


def test_one_text_with_several_filters_is_suggested_once(tmp_path: Path) -> None:
    rows = [(query_key("tea", condition), "tea", json.dumps([ENTRY])) for condition in (None, '{"a":1}')]
    write_results_file(ReleaseFiles(tmp_path).results.path, rows, suggests=lambda _: True)
    with SearchCache(tmp_path, release_id="r1") as cache:
        assert cache.suggest("t") == ("tea",)


def test_a_release_without_suggestions_has_none(tmp_path: Path) -> None:
    with cache_of(tmp_path, ["tea"], suggests=None) as cache:
        assert cache.suggest("t") == cache.suggest("") == ()


@pytest.mark.parametrize("limit", [0, -1, MOST + 1])
def test_a_limit_that_cannot_be_kept_to_is_refused(tmp_path: Path, limit: int) -> None:
    with cache_of(tmp_path, ["tea"]) as cache, pytest.raises(InputError, match=f"{limit} suggestions"):
        cache.suggest("t", limit)
