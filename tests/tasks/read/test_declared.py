"""The language that a document says it is in, wherever it says it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.records import Document
from nightrank.tasks.read.account import Account, Kind
from nightrank.tasks.read.declared import LEFT, declared_language
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.pages import read_page
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.documents import DocumentTable, read_table
from nightrank.tasks.read.tables.names import DOCUMENTS
from nightrank.tasks.settings.inputs import DocumentsSettings

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.tables.documents import TextFormat


def page(folder: Path, name: str, source: str) -> tuple[str, list[str]]:
    """The language of a page, and what was told of it."""
    path, account = folder / name, Account()
    path.write_text(source, encoding="utf-8")
    found = read_page(InputFile(path, name, "documents", account), document_id=name, max_bytes=10_000)
    assert isinstance(found, Document)
    return found.language, [entry.what for entry in account.entries() if entry.kind is Kind.MENDED]


def row(
    folder: Path,
    values: dict[str, JsonValue],
    *,
    chosen: dict[str, str] | None = None,
    text_format: TextFormat = "plain",
) -> tuple[Document, dict[Kind, list[str]]]:
    """The document of a row, and what was told."""
    path, account = folder / "corpus.jsonl", Account()
    path.write_text(json.dumps({"_id": "d", "text": "Some words.", **values}), encoding="utf-8")
    table = DocumentTable(Columns(DOCUMENTS, chosen or {}), 10_000, text_format)
    (found,) = read_table(InputFile(path, path.name, "documents", account), table)
    assert isinstance(found, Document), found
    told: dict[Kind, list[str]] = {}
    for entry in account.entries():
        told.setdefault(entry.kind, []).append(entry.what)
    return found, told


@pytest.mark.parametrize(
    ("value", "language"),
    [
        ("de", "german"),
        ("de-AT", "german"),
        ("pt_BR", "portuguese"),
        ("GERMAN", "german"),
        ("ger", "german"),
        (" en_US.UTF-8 ", "english"),
        ("zh-Hant-TW", "chinese"),
        ("Portuguese (Brazil)", "portuguese"),
        ("no", "norwegian"),
        (["fr"], "french"),
    ],
)
def test_names_and_codes_are_known_with_whatever_region(value: JsonValue, language: str) -> None:
    assert declared_language(value) == (language, "")


@pytest.mark.parametrize("value", [None, "", "  ", "und", "MUL", "unknown", []])
def test_what_says_nothing_is_not_told(value: JsonValue) -> None:
    assert declared_language(value) == ("", "")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("sk", "the language 'sk', which is not known"),
        ("Klingon", "the language 'klingon', which is not known"),
        ("python", "the language 'python', which is not known"),
        ("This is a whole text of its own.", "a language that is no name or code"),
        (7, "a language that is no text"),
        (["de", "en"], "several languages of one document"),
    ],
)
def test_what_is_not_known_is_told_and_left_to_the_words(value: JsonValue, told: str) -> None:
    assert declared_language(value) == ("", f"{told}: {LEFT}")


def test_a_column_says_the_language_and_stays_metadata(tmp_path: Path) -> None:
    document, told = row(tmp_path, {"language": "de-CH"})
    assert (document.language, document.metadata) == ("german", {"language": "de-CH"})
    assert "language" in told[Kind.COLUMN_USED]

    document, told = row(tmp_path, {"lang": "German"})
    assert (document.language, document.metadata) == ("german", {"lang": "German"})
    assert told[Kind.COLUMN_GUESSED] == ["lang as language"]

    document, told = row(tmp_path, {"sprache": "tlh", "language": "de"}, chosen={"language": "sprache"})
    assert (document.language, document.metadata) == ("", {"sprache": "tlh", "language": "de"})
    assert told[Kind.MENDED] == [f"the language 'tlh', which is not known: {LEFT}"]

    document, _ = row(tmp_path, {"language": "de"}, chosen={"language": "none"})
    assert (document.language, document.metadata) == ("", {"language": "de"})


def test_html_of_a_table_says_its_language_where_no_column_does(tmp_path: Path) -> None:
    html = '<html lang="fr"><body><p>Des mots.</p></body></html>'
    for language, expected in (("de", "german"), (None, "french"), ("", "french")):
        document, _ = row(tmp_path, {"text": html, "language": language}, text_format="html")
        assert document.language == expected


@pytest.mark.parametrize(
    ("name", "source", "language"),
    [
        ("a.md", "---\ntitle: T\nlang: de\n---\nWorte", "german"),
        ("a.md", "---\nLanguage: pt-BR\n---\nPalavras", "portuguese"),
        ("a.md", "---\nlang: no\n---\nOrd", "norwegian"),  # which YAML takes for false
        ("a.md", "# Words\nlang: de", ""),
        ("a.html", '<html lang="de"><body><p>Worte</p></body></html>', "german"),
        (
            "a.xhtml",
            '<html xml:lang="de" xmlns="http://www.w3.org/1999/xhtml"><body><p>Worte</p></body></html>',
            "german",
        ),
        ("a.html", "<html lang><body><p>Words</p></body></html>", ""),
        ("a.html", "<p lang='de'>Words</p>", ""),
        ("a.adoc", "= Title\n:lang: fr\n\nDes mots.", "french"),
        ("a.txt", "lang: de", ""),
    ],
)
def test_a_page_says_its_language_in_its_front_matter_or_its_root(
    tmp_path: Path, name: str, source: str, language: str
) -> None:
    assert page(tmp_path, name, source) == (language, [])


def test_a_language_of_a_page_that_is_not_known_is_told(tmp_path: Path) -> None:
    told = [f"the language 'sw', which is not known: {LEFT}"]
    assert page(tmp_path, "a.html", '<html lang="sw"><body><p>Maneno</p></body></html>') == ("", told)


def test_a_folder_says_the_language_of_what_does_not_say_it_itself(tmp_path: Path) -> None:
    for name, text in (
        ("lang=de/a.md", "Worte"),
        ("lang=de/b.md", "---\nlang: fr\n---\nDes mots"),
        ("lang=sw/c.md", "Maneno"),
        ("shelf=de/d.md", "Words"),
    ):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(text, encoding="utf-8")
    account = Account()
    found = read_documents(DocumentsSettings(source="docs"), base=tmp_path, account=account)
    said = {one.document_id[-4:]: (one.language, one.metadata) for one in found if isinstance(one, Document)}
    assert said == {
        "a.md": ("german", {"lang": "de"}),
        "b.md": ("french", {"lang": "fr"}),
        "c.md": ("", {"lang": "sw"}),
        "d.md": ("", {"shelf": "de"}),
    }
    told = [(entry.what, entry.where) for entry in account.entries() if entry.kind is Kind.MENDED]
    assert told == [(f"the language 'sw', which is not known: {LEFT}", "lang=sw/c.md, row 1")]
