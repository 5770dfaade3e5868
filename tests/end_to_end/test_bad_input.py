"""Bad input, through the command line: exit code 2, one clear message with a remedy, and nothing has changed."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.collection import Collection, toml
from tests.support.published import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Command, Ended, Program


@dataclass(frozen=True, slots=True)
class Case:
    """Something a user may give.

    Attributes:
        spoil: Does it to a collection that is on disk.
        says: What the message must contain: the file, row or key, what is wrong, and what to do.
    """

    name: str
    spoil: Callable[[Collection], None]
    says: tuple[str, ...]


def setting(section: str, key: str, value: str | float) -> Callable[[Collection], None]:
    def spoil(collection: Collection) -> None:
        sections = {name: dict(values) for name, values in collection.settings.items()}
        sections.setdefault(section, {})[key] = value
        collection.settings_file.write_text(toml(sections), encoding="utf-8")

    return spoil


def text(file: str, content: str) -> Callable[[Collection], None]:
    def spoil(collection: Collection) -> None:
        (collection.folder / file).write_text(content, encoding="utf-8")

    return spoil


def removed(file: str) -> Callable[[Collection], None]:
    def spoil(collection: Collection) -> None:
        (collection.folder / file).unlink()

    return spoil


def without_source(collection: Collection) -> None:
    sections = {name: values for name, values in collection.settings.items() if name != "documents"}
    collection.settings_file.write_text(toml({**sections, "documents": {"max_bad_row_share": 0.5}}), encoding="utf-8")


def settings_are_a_folder(collection: Collection) -> None:
    collection.settings_file.unlink()
    collection.settings_file.mkdir()


def bad_rows(collection: Collection) -> None:
    """Six: as many as five would stop nothing."""
    lines = (collection.folder / "corpus.jsonl").read_text().splitlines()
    lines[2] = json.dumps({"_id": "x", "title": "No text", "text": 7})
    lines[4] = "{"
    lines += ['{"_id": ""}'] * 4
    (collection.folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")


def cut_off_archive(collection: Collection) -> None:
    whole = gzip.compress((collection.folder / "corpus.jsonl").read_bytes())
    (collection.folder / "corpus.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    setting("documents", "source", "corpus.jsonl.gz")(collection)


def embedder_as_reranker(collection: Collection) -> None:
    setting("reranker", "model", str(collection.settings["embedder"]["model"]))(collection)


def model_without_safetensors(collection: Collection) -> None:
    (collection.folder / "pickled").mkdir()
    (collection.folder / "pickled" / "pytorch_model.bin").write_bytes(b"\x80")
    setting("reranker", "model", "pickled")(collection)


QRELS_HEADER = "query-id\tcorpus-id\tscore\n"

CASES = (
    Case("no settings file", removed("nightrank.toml"), ("There is no settings file", "nightrank.toml", "-c")),
    Case("settings that are a folder", settings_are_a_folder, ("nightrank.toml cannot be read", "Give a readable")),
    Case("broken TOML", text("nightrank.toml", "[documents\n"), ("is not valid TOML", "line 1", "Correct")),
    Case(
        "unknown key",
        setting("reranker", "modle", "none"),
        ("nightrank.toml: unknown setting [reranker].modle", "Did you mean `model`?"),
    ),
    Case("unknown section", setting("retreival", "fusion", "rrf"), ("unknown setting retreival", "`retrieval`")),
    Case("wrong type", setting("queries", "budget", "many"), ("[queries].budget = 'many' is wrong", "integer")),
    Case("value out of range", setting("bm25", "b", 2.0), ("[bm25].b = 2.0 is wrong", "less than or equal to 1")),
    Case("missing key", without_source, ("the setting [documents].source is missing", "Add it")),
    Case("no source", removed("corpus.jsonl"), ("corpus.jsonl does not exist", "[documents].source")),
    Case(
        "too many bad rows",
        bad_rows,
        ("6 of 27 rows", "corpus.jsonl, row 3: text is", "corpus.jsonl, row 5:", "max_bad_row_share"),
    ),
    Case("empty collection", text("corpus.jsonl", ""), ("corpus.jsonl holds no document", "[documents].source")),
    Case("no id column", text("corpus.jsonl", '{"key": 1, "text": "a"}\n'), ("corpus.jsonl has no id column", "'key")),
    Case("archive cut off", cut_off_archive, ("corpus.jsonl.gz",)),
    Case("no query log", removed("queries.jsonl"), ("queries.jsonl",)),
    Case(
        "log without a query column",
        text("queries.jsonl", '{"what": "why"}\n'),
        ("queries.jsonl has no query column", "what", "Name it in [queries].columns"),
    ),
    Case(
        "log without a usable row",
        text("queries.jsonl", '{"query": " "}\n'),
        ("1 of 1 rows of queries.jsonl cannot", "queries.jsonl, row 1: the query is empty", "max_bad_row_share"),
    ),
    Case(
        "malformed judgment",
        text("qrels.tsv", QRELS_HEADER + "q-tea\ttea\t1\nq-tea\tbees\n"),
        ("qrels.tsv, row 3: 2 fields where the header has 3", "Write BEIR's form"),
    ),
    Case(
        "a grade that is no number",
        text("qrels.tsv", QRELS_HEADER + "q-tea\ttea\tgood\n"),
        ("qrels.tsv, row 2: the grade 'good' is no integer",),
    ),
    Case(
        "judgments of another log",
        text("qrels.tsv", QRELS_HEADER + "q-other\ttea\t1\n"),
        ("No query id of qrels.tsv is among the queries of queries.jsonl", "Give both files the same"),
    ),
    Case("no judgments file", removed("qrels.tsv"), ("qrels.tsv",)),
    Case("other weights than expected", setting("embedder", "sha256", "0" * 64), ("has SHA-256", "expect " + "0" * 64)),
    Case("no model folder", setting("embedder", "model", "./no-such"), ("no model folder './no-such'", "Give a")),
    Case("unknown hub model", setting("reranker", "model", "nobody/no-such"), ("'nobody/no-such'", "Check the name")),
    Case("model without safetensors", model_without_safetensors, ("'pickled' has no model.safetensors", "Save it")),
    Case("a reranker that is none", embedder_as_reranker, ("is not a cross-encoder: it is a BertModel", "Use a")),
    Case("unknown language", setting("bm25", "language", "klingon"), ("klingon", "english")),
    Case("workspace that is a file", setting("", "workspace", "qrels.tsv"), ("qrels.tsv", "Choose another")),
)


def check(ended: Ended, case: Case) -> None:
    assert ended.code == 2, ended.err
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert lines[0].startswith("nightrank: ")
    assert len(lines) == 2, ended.err  # what is wrong, and what to do
    assert lines[1].startswith("  ")
    for words in case.says:
        assert words in ended.err


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_told_and_makes_no_workspace(case: Case, collection: Collection, nightrank: Command) -> None:
    case.spoil(collection)
    before = snapshot(collection.folder)

    ended = nightrank("refresh", "-c", collection.settings_file)

    check(ended, case)
    assert snapshot(collection.folder) == before


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_changes_no_byte_of_a_workspace(
    case: Case, published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    collection = Collection(Path(shutil.copytree(published.folder, tmp_path / "copy")), published.settings)
    case.spoil(collection)
    before = snapshot(collection.folder)

    ended = nightrank("refresh", "-c", collection.settings_file, "--json")

    check(ended, case)
    assert snapshot(collection.folder) == before


@pytest.mark.long
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name in ("unknown key", "too many bad rows")],
    ids=lambda case: case.name,
)
def test_bad_input_is_told_the_same_way_by_the_installed_program(
    case: Case, collection: Collection, program: Program
) -> None:
    case.spoil(collection)
    before = snapshot(collection.folder)

    ended = program("refresh", folder=collection.folder)

    check(ended, case)
    assert snapshot(collection.folder) == before
