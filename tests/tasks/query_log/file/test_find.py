from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.records import LoggedQuery
from nightrank.tasks.query_log.file.find import read_log
from nightrank.tasks.read.account import Account, Entry, Kind
from nightrank.tasks.settings.inputs import QueriesSettings

if TYPE_CHECKING:
    from pathlib import Path

SALT = b"salt"


def write(base: Path, **texts: str) -> None:
    (base / "logs").mkdir()
    for name, text in texts.items():
        path = base / "logs" / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def read(base: Path, log: str) -> tuple[list[tuple[str, str]], tuple[Entry, ...]]:
    account = Account()
    rows = list(read_log(QueriesSettings(log=log), base=base, salt=SALT, account=account))
    return [(row.file, row.text) for row in rows if isinstance(row, LoggedQuery)], account.entries()


@pytest.mark.parametrize("log", ["logs", "logs/", "logs/*", "logs/**/*.*"])
def test_a_log_may_be_a_folder_or_a_glob_of_daily_files(tmp_path: Path, log: str) -> None:
    write(tmp_path, b_tsv="query\ntea\n", a_jsonl='{"query": "bees"}\n', c_tsv="", readme_md="# Logs")

    rows, told = read(tmp_path, log)

    assert rows == [("logs/a.jsonl", "bees"), ("logs/b.tsv", "tea")]
    assert Entry("queries", Kind.FILE_READ, ".tsv", 2, "logs/b.tsv") in told
    assert Entry("queries", Kind.FILE_NOT_READ, ".md", 1, "logs/readme.md") in told
    assert Entry("queries", Kind.SKIPPED, "file without a row", 1, "logs/c.tsv") in told


def test_folders_below_a_folder_are_read_too(tmp_path: Path) -> None:
    write(tmp_path, june__a_tsv="query\ntea\n")
    assert read(tmp_path, "logs")[0] == [("logs/june/a.tsv", "tea")]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].tsv").write_text("query\ntea\n")
    assert read(tmp_path, "a[1].tsv")[0] == [("a[1].tsv", "tea")]


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("gone.tsv", "gone.tsv does not exist"),
        ("gone/*.tsv", r"gone/\*\.tsv holds no table"),
        ("logs/c.tsv", "holds no query"),
        ("logs/c*.tsv", "holds no query"),
        ("logs/*.md", "holds no table"),
    ],
)
def test_a_log_without_a_row_is_an_error(tmp_path: Path, log: str, says: str) -> None:
    write(tmp_path, c_tsv="", readme_md="# Logs")
    with pytest.raises(InputError, match=says):
        read(tmp_path, log)
