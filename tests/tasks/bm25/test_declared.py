"""Documents that say their language: in what their texts are analysed, and that any history ends as a rebuild."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.records import Chunk
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.settings.index import Bm25Settings
from tests.support.bm25_files import Placed, build
from tests.tasks.bm25.test_analyser import ENGLISH, GERMAN
from tests.tasks.bm25.test_nights import contents

if TYPE_CHECKING:
    from pathlib import Path

AUTO = Analyser.of(Bm25Settings())
TABLE = "Häuser Preise Städte 2024"  # says nothing of its language
ESTONIAN = "Majad ei ole nii kallid kui me ootasime, ja see on hea."  # some of its words mark Finnish


def languages(folder: Path, chunks: list[tuple[str, str]], *, analyse: Analyser = AUTO) -> list[str]:
    """The language that each text is analysed in, of (text, language that its document says)."""
    path = folder / "bm25.duckdb"
    listed = [Placed(Chunk(f"d{9 - place}", 0, text, 0), "", "{}", said) for place, (text, said) in enumerate(chunks)]
    build(path, listed, analyse=analyse)
    return [analyse.languages[language] for (_, _, _, _, _, _, _, _, language, *_) in contents(path)["chunks"]]


@pytest.mark.parametrize(
    ("text", "said", "analysed"),
    [
        (TABLE, "", "english"),
        (TABLE, "german", "german"),
        (GERMAN, "german", "german"),
        (GERMAN, "english", "german"),  # as a template may have it
        (ENGLISH, "german", "english"),
        (f"{ENGLISH} {GERMAN}", "german", "german"),  # not clearly of another
        (ESTONIAN, "estonian", "estonian"),  # whose words nobody counts
        ("Дома не так дороги, как мы ожидали.", "russian", "english"),  # words in its script are told by that
        ("Дома не так дороги, как мы ожидали.", "ukrainian", "english"),
        ("房子没有我们想象的那么贵。", "chinese", "english"),
    ],
)
def test_a_text_is_in_the_language_that_its_document_says_unless_its_words_are_clearly_of_another(
    tmp_path: Path, text: str, said: str, analysed: str
) -> None:
    assert languages(tmp_path, [(text, said)]) == [analysed]


def test_one_text_in_two_languages_has_the_terms_of_each(tmp_path: Path) -> None:
    assert languages(tmp_path, [(TABLE, "german"), (TABLE, ""), (TABLE, "danish")]) == ["german", "english", "danish"]
    with Bm25Store.open(tmp_path / "bm25.duckdb") as store:
        found = [
            store.text_terms([TABLE], analyse=AUTO, declared=[said]).column("term_number").to_pylist()
            for said in ("german", "", "danish")
        ]
    assert len({tuple(terms) for terms in found}) == 3


def test_a_language_of_the_settings_is_that_of_all_texts(tmp_path: Path) -> None:
    french = Analyser.of(Bm25Settings(language="french"))
    assert languages(tmp_path, [(TABLE, "german"), (GERMAN, "")], analyse=french) == ["french", "french"]


@pytest.mark.parametrize("seed", range(6))
def test_any_history_of_languages_ends_where_a_rebuild_ends(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    before = None
    for night in range(4):
        chunks = [
            Placed(
                Chunk(name, 0, text, 0),
                draw.choice(["", "T"]),
                "{}",
                draw.choice(["", "german", "english", "estonian"]),
            )
            for name in draw.sample("abcdef", draw.randrange(1, 6))
            for text in [draw.choice([TABLE, GERMAN, ENGLISH])]
        ]
        path = tmp_path / f"{night}.duckdb"
        build(path, chunks, analyse=AUTO, before=before)
        before = path
    build(tmp_path / "rebuilt.duckdb", chunks, analyse=AUTO)
    assert contents(path) == contents(tmp_path / "rebuilt.duckdb")
