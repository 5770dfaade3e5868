"""The doctor: a sound release is found sound, and whatever is damaged is named by the check that is there for it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nightrank.flows.operate.doctor import CHECKS, examine
from nightrank.flows.operate.retract import take_down
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, MachineError, WorkspaceBusy
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.retracted.listed import LIST
from nightrank.storage.workspace.base import ANSWERS
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.doctor.examined import Findings
from tests.support.published import snapshot
from tests.support.takedown import NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightrank.flows.operate.doctor import Diagnosis
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace
    from tests.conftest import Command
    from tests.support.collection import Collection


@dataclass(frozen=True, slots=True)
class Patient:
    """A copy of the published workspace that a test may damage."""

    settings_file: Path
    workspace: Workspace

    @property
    def release_id(self) -> str:
        return self.workspace.require_current()

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.workspace, self.release_id)

    @property
    def folder(self) -> Path:
        return self.workspace.release(self.release_id)

    def sql(self, name: str, *statements: str) -> None:
        """Run statements in a file of the release."""
        path = self.folder / name
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as results, results:
                for statement in statements:
                    results.execute(statement)
        else:
            with closing(duckdb.connect(str(path))) as connection:
                for statement in statements:
                    connection.execute(statement)

    def edit(self, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
        """Replace a Parquet file of the release."""
        table = read_table(self.folder / name)
        write_table(self.folder / name, change(table).cast(table.schema))

    def edit_vectors(self, change: Callable[[lancedb.table.Table], object]) -> None:
        """Change the LanceDB table and let the release's tag name what comes of it."""
        table = lancedb.connect(str(self.workspace.lance)).open_table(self.manifest.chunk_table.name)
        change(table)
        table.tags.update(self.release_id, table.version)

    def edit_manifest(self, **values: object) -> None:
        path = self.folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def examined(self) -> Diagnosis:
        return examine(self.workspace, release_id=None)


@pytest.fixture
def patient(published: Collection, tmp_path: Path) -> Patient:
    folder = tmp_path / "project"
    shutil.copytree(published.folder, folder)
    return Patient(folder / "nightrank.toml", FolderWorkspace(folder / "workspace"))


def failed(diagnosis: Diagnosis) -> dict[str, str]:
    """The checks that failed, with what they say."""
    return {
        check.name: "; ".join(str(fault) for fault in check.findings.faults)
        for check in diagnosis.checks
        if not check.passed
    }


def with_cell(table: pa.Table, row: int, column: str, value: object) -> pa.Table:
    """The table with one cell changed."""
    values = table.column(column).to_pylist()
    values[row] = value
    at = table.schema.get_field_index(column)
    return table.set_column(at, table.schema.field(column), pa.array(values, table.schema.field(column).type))


def swapped(table: pa.Table, first: int, second: int) -> pa.Table:
    """The table with two rows exchanged."""
    order = list(range(table.num_rows))
    order[first], order[second] = second, first
    return table.take(order)


def test_a_sound_release_passes_every_check_that_has_something_to_look_at(patient: Patient) -> None:
    diagnosis = patient.examined()

    assert failed(diagnosis) == {}
    assert diagnosis.healthy
    assert [check.name for check in diagnosis.checks] == list(CHECKS)
    compared = {check.name: check.findings.compared for check in diagnosis.checks}
    counts = patient.manifest.counts
    assert compared["documents"] == {"documents": counts.documents}
    assert compared["chunks"] == {"chunks": counts.chunks}
    assert compared["vectors"] == {"vectors": counts.chunks_embedded}
    assert compared["bm25"]["chunks"] == counts.chunks
    assert compared["bm25"]["postings"] > counts.chunks
    assert compared["candidates"]["candidates"] >= counts.pairs
    assert compared["candidates"]["pair scores"] == counts.pairs
    assert compared["results"] == {"queries": counts.queries, "answers": counts.queries}
    assert compared["measures"]["measures"] == sum(len(values) for values in patient.manifest.measures.values())


def test_the_doctor_changes_nothing_and_needs_no_writers_lock(patient: Patient, nightrank: Command) -> None:
    before = snapshot(patient.workspace.root)

    with patient.workspace.writing(now=datetime(2026, 1, 1, tzinfo=UTC)):
        ended = nightrank("doctor", "-c", patient.settings_file)

    assert (ended.code, ended.err) == (0, "")
    assert "All stores agree." in ended.out
    assert snapshot(patient.workspace.root) | {"lance/.readers": b""} == before | {"lance/.readers": b""}


def test_while_it_works_no_vectors_are_collected(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = []

    def ask(_examined: object) -> Findings:
        with patient.workspace.without_readers() as nobody:
            alone.append(nobody)
        return Findings({}, [])

    monkeypatch.setattr("nightrank.flows.operate.doctor.CHECKS", {"asked": ask})
    patient.examined()
    with patient.workspace.without_readers() as nobody:
        alone.append(nobody)
    assert alone == [False, True]


def test_json_names_every_check_with_what_was_compared_and_its_faults(patient: Patient, nightrank: Command) -> None:
    (patient.folder / "notes.txt").write_text("mine")

    ended = nightrank("doctor", "-c", patient.settings_file, "--json")

    assert (ended.code, ended.err) == (1, "")
    reported = ended.json
    assert set(reported) == {"release_id", "healthy", "checks"}
    assert (reported["release_id"], reported["healthy"]) == (patient.release_id, False)
    assert [check["name"] for check in reported["checks"]] == list(CHECKS)
    assert all(set(check) == {"name", "passed", "compared", "faults"} for check in reported["checks"])
    fault = {"what": "files that the manifest does not name", "count": 1, "examples": ["notes.txt"]}
    assert [check["faults"] for check in reported["checks"] if not check["passed"]] == [[fault]]


def test_for_people_there_is_a_table_and_every_fault(patient: Patient, nightrank: Command) -> None:
    (patient.folder / "notes.txt").write_text("mine")

    ended = nightrank("doctor", "-c", patient.settings_file)

    assert (ended.code, ended.err) == (1, "")
    assert "DISAGREES" in ended.out
    assert "files: files that the manifest does not name (1): notes.txt" in ended.out
    assert "The stores disagree." in ended.out


def test_a_file_that_is_missing_empty_or_changed_is_named(patient: Patient) -> None:
    (patient.folder / "bad_rows.parquet").unlink()
    assert "missing (1): bad_rows.parquet" in failed(patient.examined())["files"]

    (patient.folder / "bad_rows.parquet").touch()
    assert "empty (1): bad_rows.parquet" in failed(patient.examined())["files"]

    (patient.folder / "bad_rows.parquet").write_bytes(b"x")
    assert failed(patient.examined()) == {"files": "files whose SHA-256 is not the manifest's (1): bad_rows.parquet"}


@pytest.mark.parametrize(
    ("pointer", "says"),
    [
        ('{"release_id": "20200101T000000-000Z"}', "There is no release '20200101T000000-000Z'"),
        ("{", "does not name a release"),
        (None, "no published release"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_named_and_the_newest_release_is_examined(
    patient: Patient, pointer: str | None, says: str
) -> None:
    release_id, path = patient.release_id, patient.workspace.root / "current.json"
    path.unlink() if pointer is None else path.write_text(pointer)

    diagnosis = patient.examined()

    assert diagnosis.release_id == release_id
    assert list(failed(diagnosis)) == ["pointer"]
    assert says in failed(diagnosis)["pointer"]


def test_a_pointer_at_a_rejected_release_is_named(patient: Patient) -> None:
    patient.edit_manifest(status="rejected")

    faults = failed(patient.examined())

    assert list(faults) == ["pointer"]
    assert faults["pointer"] == f"current.json names {patient.release_id}, which was rejected"


DAMAGED_FILES: dict[str, tuple[Callable[[Patient], None], str, str]] = {
    "a document is lost": (
        lambda patient: patient.edit("documents.parquet", lambda table: table.slice(1)),
        "documents",
        "documents: the manifest counts 23, there are 22; the documents' digest is not the manifest's; "
        "chunks of no document (1): wheel#0",
    ),
    "documents lie in another order": (
        lambda patient: patient.edit("documents.parquet", lambda table: swapped(table, 0, 1)),
        "documents",
        "the documents' digest is not the manifest's; documents that are repeated or out of order (1): wheel",
    ),
    "an ordinal skips": (
        lambda patient: patient.sql("bm25.duckdb", "UPDATE chunks SET ordinal = ordinal + 5 WHERE document_id = 'tea'"),
        "chunks",
        "chunk ids that are not their document and ordinal (1): tea#0; "
        "documents whose ordinals do not run from 0 without a gap (1): tea",
    ),
    "a posting is lost": (
        lambda patient: patient.sql(
            "bm25.duckdb",
            """DELETE FROM postings
            WHERE term_slot = (SELECT term_slot FROM terms WHERE term = 'pendulum')
            AND slot = (SELECT slot FROM chunks WHERE chunk_id = 'clock#0')""",
        ),
        "bm25",
        "term frequencies of the texts that are missing (1): clock#0 pendulum; "
        "chunks whose length is not the sum of their term frequencies (1): clock#0; "
        "terms whose chunk count is not the number of chunks that have them (1): pendulum",
    ),
    "a frequency is another": (
        lambda patient: patient.sql(
            "bm25.duckdb",
            """UPDATE postings SET tf = tf + 1
            WHERE term_slot = (SELECT term_slot FROM terms WHERE term = 'pendulum')""",
        ),
        "bm25",
        "term frequencies that the texts do not give (1): clock#0 pendulum; "
        "term frequencies of the texts that are missing (1): clock#0 pendulum; "
        "chunks whose length is not the sum of their term frequencies (1): clock#0",
    ),
    "a length is another": (
        lambda patient: patient.sql("bm25.duckdb", "UPDATE chunks SET length = length + 1 WHERE chunk_id = 'tea#0'"),
        "bm25",
        "chunks whose length is not the sum of their term frequencies (1): tea#0; "
        "totals that are not those of the chunks (1): total_length",
    ),
    "a chunk count is another": (
        lambda patient: patient.sql("bm25.duckdb", "UPDATE terms SET chunk_count = 9 WHERE term = 'pendulum'"),
        "bm25",
        "terms whose chunk count is not the number of chunks that have them (1): pendulum",
    ),
    "a total is another": (
        lambda patient: patient.sql("bm25.duckdb", "UPDATE statistics SET chunk_count = chunk_count + 1"),
        "bm25",
        "totals that are not those of the chunks (1): chunk_count",
    ),
    "texts were analysed in another way": (
        lambda patient: patient.sql("bm25.duckdb", "UPDATE statistics SET analysis = 'other'"),
        "bm25",
        "the texts became terms in another way than they do now",
    ),
    "the results of two queries are swapped": (
        lambda patient: patient.sql(
            "results.sqlite",
            """CREATE TEMP TABLE swapped AS
            SELECT one.query, other.results FROM results AS one JOIN results AS other ON one.query <> other.query
            WHERE one.query IN ('black tea', 'sun and salt') AND other.query IN ('black tea', 'sun and salt')""",
            """UPDATE results SET results = (SELECT results FROM swapped WHERE swapped.query = results.query)
            WHERE query IN (SELECT query FROM swapped)""",
        ),
        "results",
        "queries whose results are not what their candidates give (2): black tea, sun and salt",
    ),
    "a query has no answer": (
        lambda patient: patient.sql("results.sqlite", "DELETE FROM results WHERE query = 'black tea'"),
        "results",
        "answered queries: the manifest counts 7, there are 6; queries without an answer (1): black tea",
    ),
    "a measured value is another": (
        lambda patient: patient.edit(
            "evaluation.parquet", lambda table: with_cell(table, 0, "value", table["value"][0].as_py() + 0.5)
        ),
        "measures",
        "measures that are not the mean of their queries' values (1): bm25 nDCG@10",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", DAMAGED_FILES)
def test_what_is_damaged_in_a_file_is_found_by_its_check_and_by_the_files_digest(patient: Patient, name: str) -> None:
    damage, check, says = DAMAGED_FILES[name]
    damage(patient)

    faults = failed(patient.examined())

    assert list(faults) == ["files", check]
    assert faults[check] == says


CANDIDATES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "no chunk": (lambda table: with_cell(table, 0, "chunk_hash", "0" * 32), "candidates that are no chunk of"),
    "another number": (
        lambda table: with_cell(table, 0, "chunk_number", 10_000),
        "candidates that are no chunk of the release",
    ),
    "no query": (
        lambda table: pa.concat_tables([table, with_cell(table.slice(0, 1), 0, "query_key", "f" * 32)]),
        "candidates of no query of the release (1): " + "f" * 32,
    ),
    "twice": (lambda table: pa.concat_tables([table.slice(0, 1), table]), "candidates that come more than once (1)"),
    "fused rank": (lambda table: with_cell(table, 0, "fused_rank", 900), "fused rank is not the place of their fused"),
    "rank": (lambda table: with_cell(table, 3, "rank", 900), "rank is not the place of their score (1)"),
    "BM25 rank": (
        lambda table: with_cell(table, pc.index(table["bm25_rank"], 1).as_py(), "bm25_rank", 2),
        "BM25 rank is not the place of their BM25 score (1)",
    ),
    "BM25 score": (
        lambda table: with_cell(table, pc.index(table["bm25_rank"], 1).as_py(), "bm25_score", None),
        "BM25 rank is not the place of their BM25 score",
    ),
    "dense rank": (
        lambda table: with_cell(table, pc.index(table["dense_rank"], 1).as_py(), "dense_rank", None),
        "dense rank is not the place of their dense score (1)",
    ),
    "place": (lambda table: swapped(table, 15, 16), "stand elsewhere in the file than their rank says (2)"),
    "pair score": (
        lambda table: with_cell(table, 0, "pair_score", table["pair_score"][0].as_py() + 1),
        "pair scores that are not the memo's (1)",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CANDIDATES)
def test_a_damaged_candidate_is_found(patient: Patient, name: str) -> None:
    change, says = CANDIDATES[name]
    patient.edit("candidates.parquet", change)

    faults = failed(patient.examined())

    # Where the damage decides who is a result, the results no longer follow from the candidates either.
    assert set(faults) - {"order", "results"} == {"files", "candidates"}
    assert says in faults["candidates"]


def test_a_pair_score_that_the_memo_no_longer_has_is_fine(patient: Patient) -> None:
    [memo] = patient.workspace.memo.glob("pairs-*.duckdb")
    with closing(duckdb.connect(str(memo))) as connection:
        connection.execute("DELETE FROM pair_scores WHERE chunk_hash = (SELECT min(chunk_hash) FROM pair_scores)")
    fewer = patient.examined()
    memo.unlink()
    none = patient.examined()

    compared = [
        next(check for check in diagnosis.checks if check.name == "candidates").findings.compared["pair scores"]
        for diagnosis in (fewer, none)
    ]
    assert fewer.healthy
    assert none.healthy
    assert 0 < compared[0] < patient.manifest.counts.pairs
    assert compared[1] == 0


def a_row(table: lancedb.table.Table) -> dict[str, object]:
    row: dict[str, object] = table.search().limit(1).to_list()[0]
    return row


VECTORS: dict[str, tuple[Callable[[lancedb.table.Table], object], str, set[str]]] = {
    "a row is lost": (
        lambda table: table.delete(f"chunk_hash = '{a_row(table)['chunk_hash']}'"),
        "chunks without a vector (1)",
        {"vectors"},
    ),
    "a row is there twice": (
        lambda table: table.add([a_row(table)]),
        "texts that have more than one row (1)",
        {"vectors"},
    ),
    "a text is another": (
        lambda table: table.update(where=f"chunk_hash = '{a_row(table)['chunk_hash']}'", values={"text": "another"}),
        "texts that are not what their key says (1)",
        {"vectors", "bm25"},
    ),
    "a vector is longer": (
        lambda table: table.update(
            where=f"chunk_hash = '{a_row(table)['chunk_hash']}'", values={"vector": np.full(32, 0.5).tolist()}
        ),
        "vectors that are not of unit length (1)",
        {"vectors"},
    ),
    "a vector is not finite": (
        lambda table: (
            row := a_row(table),
            table.delete(f"chunk_hash = '{row['chunk_hash']}'"),
            table.add([{**row, "vector": [float("inf")] * 32}]),  # LanceDB itself refuses NaN
        ),
        "vectors with values that are not finite (1)",
        {"vectors"},
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", VECTORS)
def test_a_damaged_row_of_vectors_is_found(patient: Patient, name: str) -> None:
    change, says, checks = VECTORS[name]
    patient.edit_vectors(change)

    faults = failed(patient.examined())

    assert set(faults) == checks
    assert says in faults["vectors"]


def test_a_dense_list_that_lacks_a_text_is_found(patient: Patient) -> None:
    stored = read_table(patient.folder / "dense.parquet")
    lists = stored.to_pylist()
    assert {row["floor"] for row in lists} == {float("-inf")}  # the collection is so small that they hold every text
    assert list(failed(patient.examined())) == []

    lists[0]["chunk_hashes"], lists[0]["scores"] = lists[0]["chunk_hashes"][1:], lists[0]["scores"][1:]
    write_table(patient.folder / "dense.parquet", pa.Table.from_pylist(lists, schema=stored.schema))
    faults = failed(patient.examined())

    assert list(faults) == ["files", "dense_lists"]
    assert faults["dense_lists"] == f"lists without a floor that lack a text (1): {lists[0]['query_key']}"


def test_a_release_whose_tag_is_gone_has_no_vectors(patient: Patient) -> None:
    table = lancedb.connect(str(patient.workspace.lance)).open_table(patient.manifest.chunk_table.name)
    table.tags.delete(patient.release_id)

    faults = failed(patient.examined())

    assert list(faults) == ["vectors", "bm25", "order"]
    assert f"has no tag of the release {patient.release_id}" in faults["vectors"]


def test_a_store_that_cannot_be_read_is_a_fault_of_the_checks_that_read_it(patient: Patient) -> None:
    (patient.folder / "candidates.parquet").write_bytes(b"nothing")

    faults = failed(patient.examined())

    assert list(faults) == ["files", "dense_lists", "candidates", "order", "results"]
    assert faults["candidates"].startswith("it cannot be checked: ")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda manifest: {"log_means": {**manifest.log_means, "bm25": (0.5,) * 5}},
            "lists whose means over the log are others (1): bm25",
        ),
        (
            lambda manifest: {"order_model": {**manifest.order_model, "reranker": "another"}},
            "learned order that is not the one that the release names (1): order_model",
        ),
        (
            lambda manifest: {"inputs": {"reranker": f"{manifest.inputs.reranker_fingerprint} at 0.5"}},
            "candidates with another final score (",
        ),
    ],
    ids=["means", "numbers", "weights"],
)
def test_another_order_than_the_releases_is_named(
    change: Callable[[Manifest], dict[str, dict[str, object]]], says: str, patient: Patient
) -> None:
    manifest = json.loads((patient.folder / "manifest.json").read_text())
    changed = change(patient.manifest)
    patient.edit_manifest(**{name: {**manifest[name], **value} for name, value in changed.items()})

    faults = failed(patient.examined())

    assert list(faults) == ["order"]
    assert faults["order"].startswith(says)


@pytest.mark.parametrize("model", [{}, {"format": 1, "features": [], "gates": {}, "reranker": "none"}])
def test_a_release_that_holds_no_order_of_this_version_is_not_held_against_one(
    model: dict[str, object], patient: Patient
) -> None:
    patient.edit_manifest(order_model=model)
    assert patient.examined().healthy


def test_grams_that_are_not_those_of_the_text_are_named(patient: Patient) -> None:
    def change(table: pa.Table) -> pa.Table:
        row = next(row for row, grams in enumerate(table["grams"].to_pylist()) if any(grams))
        return with_cell(table, row, "grams", bytes(len(table["grams"][row].as_py())))

    patient.edit("candidates.parquet", change)
    faults = failed(patient.examined())
    assert "candidates whose grams are not those of their texts (1): " in faults["order"]


def test_a_count_that_is_not_the_manifests_is_named(patient: Patient) -> None:
    counts = patient.manifest.counts.model_dump()
    patient.edit_manifest(counts=counts | {"chunks": counts["chunks"] + 1, "queries": 6})

    faults = failed(patient.examined())

    assert faults["chunks"] == f"chunks: the manifest counts {counts['chunks'] + 1}, there are {counts['chunks']}"
    assert faults["results"].startswith("queries: the manifest counts 6, there are 7")


def test_a_release_can_be_named_and_must_be_there(patient: Patient, nightrank: Command) -> None:
    named = nightrank("doctor", "--release", patient.release_id, "-c", patient.settings_file, "--json")
    assert (named.code, named.json["release_id"]) == (0, patient.release_id)

    ended = nightrank("doctor", "--release", "20200101T000000-000Z", "-c", patient.settings_file, "--json")
    assert (ended.code, ended.out) == (2, "")
    assert "There is no release '20200101T000000-000Z'" in ended.err


def test_without_a_release_there_is_nothing_to_examine(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no published release"):
        examine(FolderWorkspace(tmp_path / "workspace"), release_id=None)
    assert not (tmp_path / "workspace").exists()


def test_a_manifest_that_cannot_be_read_is_told_when_its_release_is_named(patient: Patient) -> None:
    (patient.folder / "manifest.json").write_text("{}")
    with pytest.raises(MachineError, match="is not a manifest"):
        examine(patient.workspace, release_id=patient.release_id)


def test_what_was_taken_down_and_is_still_answered_is_named(patient: Patient) -> None:
    settings = load_settings(patient.settings_file)
    take_down(settings, ["bees"], reason="", undo=False, now=NOW)
    assert patient.examined().healthy
    path = patient.workspace.root / LIST
    listed = json.loads(path.read_text())
    path.write_text(json.dumps({**listed, "releases": {}}))
    assert "does not speak of it" in failed(patient.examined())["retracted"]
    path.write_text(json.dumps({**listed, "releases": {patient.release_id: {"file": None}}}))
    assert "taken down and are still in answers" in failed(patient.examined())["retracted"]
    path.write_text(json.dumps(listed))
    [replaced] = (patient.workspace.root / ANSWERS).glob("*")
    with closing(sqlite3.connect(replaced)) as answers, answers:
        answers.execute("DELETE FROM results")
    assert "SHA-256" in failed(patient.examined())["retracted"]
    take_down(settings, [], reason="", undo=False, now=NOW)
    assert patient.examined().healthy


def test_a_memo_that_a_run_is_writing_is_no_fault_but_a_reason_to_wait(patient: Patient) -> None:
    [memo] = patient.workspace.memo.glob("pairs-*.duckdb")
    program = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, memo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceBusy, match="A refresh is writing"):
            patient.examined()
        writer.communicate()
    assert patient.examined().healthy
