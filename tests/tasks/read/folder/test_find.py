from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.read.account import LINKED, UNREADABLE_FOLDER, Account, Entry, Kind
from nightrank.tasks.read.folder.find import BESIDE_CORPUS, find_files
from nightrank.tasks.read.folder.named import files_named
from nightrank.tasks.read.folder.selection import NOT_INCLUDED
from nightrank.tasks.settings.inputs import DocumentsSettings
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(base: Path, *names: str) -> None:
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")


def found(
    base: Path, source: str = "docs", *, named: Mapping[Path, str] | None = None, **settings: tuple[str, ...]
) -> tuple[list[str], list[Entry]]:
    account = Account()
    chosen = DocumentsSettings.model_validate({"source": source, **settings})
    files = [file.name for file in find_files(chosen, base=base, named=named or {}, account=account)]
    return files, list(account.entries())


def test_what_nobody_wrote_as_a_document_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md", "docs/node_modules/left-pad/README.md", "docs/x/_drafts/b.md", "docs/_SUCCESS")

    files, told = found(tmp_path)

    assert files == ["a.md"]
    assert told == [
        Entry("documents", Kind.FILE_EXCLUDED, "_SUCCESS", 1, "_SUCCESS"),
        Entry("documents", Kind.FILE_EXCLUDED, "_drafts/", 1, "x/_drafts"),
        Entry("documents", Kind.FILE_EXCLUDED, "node_modules/", 1, "node_modules"),
    ]
    assert found(tmp_path, exclude=())[0] == ["a.md", "node_modules/left-pad/README.md", "x/_drafts/b.md"]


@pytest.mark.parametrize("source", ["docs", "docs/**"])
def test_patterns_are_those_of_gitignore(tmp_path: Path, source: str) -> None:
    write(tmp_path, "docs/a.md", "docs/assets/team.csv", "docs/keep.csv", "docs/top.md", "docs/x/top.md", "docs/x/b.md")

    files, _ = found(tmp_path, source, exclude=("*.csv", "!keep.csv", "/top.md"))
    assert files == ["a.md", "keep.csv", "x/b.md", "x/top.md"]

    files, told = found(tmp_path, source, include=("*.md", "!/x/top.md"), exclude=("b.md",))
    assert files == ["a.md", "top.md"]
    assert [(entry.what, entry.count) for entry in told] == [(NOT_INCLUDED, 3), ("b.md", 1)]


def test_a_pattern_that_is_none_is_named(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md")
    with pytest.raises(InputError, match=r"\[documents\]\.exclude: '!' is no pattern"):
        found(tmp_path, exclude=("!",))


@pytest.mark.parametrize("source", ["data", "data/*", "."])
def test_files_that_the_settings_name_are_no_documents(tmp_path: Path, source: str) -> None:
    names = ("corpus.jsonl", "log/a.tsv", "log/b.tsv", "drop.csv", "qrels.tsv", "bm25.tsv")
    write(tmp_path, *(f"data/{name}" for name in names), "data/workspace/r/report.html", "data/out.parquet")
    write(tmp_path, "data/visits/queries-2026-03-01.jsonl")
    settings = Settings.model_validate(
        {
            "workspace": "data/workspace",
            "documents": {"source": source},
            "queries": {"log": "data/log/*.tsv", "drop_list": "data/drop.csv"},
            "judgments": {"qrels": "data/qrels.tsv"},
            "retrieval": {"bm25_run": "data/bm25.tsv"},
            "export": {"to": ["data/out.parquet", "redis://localhost"]},
            "serve": {"log": "data/visits"},
        }
    )

    files, told = found(tmp_path, source, named=files_named(settings, base=tmp_path))

    assert [file.removeprefix("data/") for file in files] == ["corpus.jsonl"]
    keys = {entry.what for entry in told if entry.kind is Kind.FILE_EXCLUDED}
    assert {"[queries].drop_list", "[judgments].qrels", "[retrieval].bm25_run", "[export].to"} <= keys


def test_a_source_that_is_the_log_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "q.jsonl")
    with pytest.raises(InputError, match=r"q\.jsonl is both \[documents\]\.source and \[queries\]\.log"):
        found(tmp_path, "q.jsonl", named={(tmp_path / "q.jsonl").resolve(): "[queries].log"})


def test_a_folder_in_beirs_layout_is_its_corpus(tmp_path: Path) -> None:
    write(tmp_path, "docs/corpus.jsonl", "docs/queries.jsonl", "docs/qrels/test.tsv", "docs/x/queries.jsonl")

    files, told = found(tmp_path)

    assert files == ["corpus.jsonl", "x/queries.jsonl"]
    assert told == [Entry("documents", Kind.FILE_EXCLUDED, BESIDE_CORPUS, 2, "qrels")]


def test_links_that_are_not_followed_and_other_formats_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md", "docs/b.php", "docs/c", "outside.md")
    (tmp_path / "docs" / "loop").symlink_to(tmp_path / "docs")
    (tmp_path / "docs" / "out.md").symlink_to(tmp_path / "outside.md")

    files, told = found(tmp_path)

    assert files == ["a.md"]
    assert told == [
        Entry("documents", Kind.FILE_NOT_READ, LINKED, 2, "loop"),
        Entry("documents", Kind.FILE_NOT_READ, ".php", 1, "b.php"),
        Entry("documents", Kind.FILE_NOT_READ, "without a suffix", 1, "c"),
    ]


def test_a_folder_below_that_cannot_be_read_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "docs/a.md", "docs/locked/b.md")
    scandir = os.scandir

    def refusing(path: object) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)  # type: ignore[call-overload]  # whatever it is given

    monkeypatch.setattr(os, "scandir", refusing)

    files, told = found(tmp_path)

    assert files == ["a.md"]
    assert told == [Entry("documents", Kind.FILE_NOT_READ, UNREADABLE_FOLDER, 1, "locked/")]
