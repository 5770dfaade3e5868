"""`nightrank export`, and the export of each night."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from nightrank.flows.operate.export import export
from nightrank.flows.refresh import refresh
from nightrank.storage.errors import InputError, TargetUnreachable
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.serving.open import open_results, target_at
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.stages.export import export_release
from tests.support.collection import LOG, Collection

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.serving.reader import ResultsReader
    from tests.conftest import Command

NOBODY = "redis://:S3CR3T@127.0.0.1:1/0"


@pytest.fixture
def project(published: Collection, tmp_path: Path) -> Collection:
    """A copy of the collection with one published release."""
    folder = tmp_path / "project"
    shutil.copytree(published.folder, folder)
    settings = {name: dict(section) for name, section in published.settings.items()}
    return Collection(folder, settings, published.documents, list(published.log), published.qrels)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is tried again is tried again without waiting."""
    monkeypatch.setattr(export_release, "retry_delay_seconds", [0, 0, 0])


def assert_as_published(reader: ResultsReader, collection: Collection) -> None:
    with SearchCache.open(collection.workspace) as cache:
        assert (len(reader), reader.release_id) == (len(cache), cache.release_id)
        for _, query, _ in LOG:
            assert reader.get(query) == cache.get(query) is not None
    reader.close()


def test_export_json_tells_what_was_done(project: Collection, nightrank: Command, tmp_path: Path) -> None:
    files = [tmp_path / "out" / f"release.{suffix}" for suffix in ("parquet", "sqlite")]
    command = ("export", "-c", project.settings_file, "--to", files[0], "--to", files[1])

    first, again = nightrank(*command, "--json"), nightrank(*command)

    assert (first.code, first.err, again.code, again.err) == (0, "", 0, "")
    release_id = FolderWorkspace(project.workspace).require_current()
    reported: dict[str, Any] = {
        "release_id": release_id,
        "queries": len(LOG),
        "aliases": 0,
        "before": None,
        "warnings": [],
    }
    exported = [{**reported, "to": str(path), "changed": True} for path in files]
    assert first.json == {"release_id": release_id, "exported": exported}
    assert again.out.count("Nothing to do") == 2
    for path in files:
        assert_as_published(open_results(path), project)


def test_what_cannot_be_exported_is_told_with_its_exit_code(
    project: Collection, nightrank: Command, tmp_path: Path
) -> None:
    inside = project.workspace / "releases" / "mine.sqlite"
    good = tmp_path / "good.sqlite"
    for code, words, arguments in (
        (2, "No target of the export is given", ()),
        (2, "Nothing can be exported to a file that ends in '.csv'", ("--to", "x.csv")),
        (2, "A file that ends in .sqlite or .parquet, or redis://", ("--to", "x.duckdb")),
        (2, "is inside the workspace", ("--to", inside)),
        (2, "There is no release", ("--to", good, "--release", "20250101T000000-000Z")),
        (2, "is not a valid name", ("--to", good, "--name", "a;b")),
        (1, "redis://127.0.0.1:1/0 does not answer", ("--to", NOBODY)),
        (
            1,
            f"does not answer: Error 111 connecting to 127.0.0.1:1. Connection refused. Exported to {good}",
            ("--to", NOBODY, "--to", good),
        ),
    ):
        ended = nightrank("export", "-c", project.settings_file, *arguments)
        assert (ended.code, ended.out) == (code, "")
        assert words in ended.err
        assert "S3CR3T" not in ended.err
    assert_as_published(open_results(good), project)


def test_a_place_that_does_not_answer_is_asked_again_and_a_mistake_is_not(
    project: Collection, monkeypatch: pytest.MonkeyPatch, prefect_api: str, tmp_path: Path
) -> None:
    attempts: list[object] = []

    def faulty(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (as the original)
        attempts.append(options)
        if len(attempts) < 3:
            raise TargetUnreachable("Not now.")
        return target_at(*arguments, **options)

    monkeypatch.setattr("nightrank.tasks.stages.export.target_at", faulty)
    to = [SecretStr(str(tmp_path / "release.parquet"))]
    assert export(str(project.settings_file), to=to).exported[0].changed
    assert len(attempts) == 3

    (tmp_path / "mine.sqlite").write_text("mine")
    with pytest.raises(InputError, match="was not written by an export"):
        export(str(project.settings_file), to=[SecretStr(str(tmp_path / "mine.sqlite"))])
    assert len(attempts) == 4


def test_prefect_stores_no_password(project: Collection, prefect_api: str, capsys: pytest.CaptureFixture[str]) -> None:
    from prefect.client.orchestration import get_client

    with pytest.raises(TargetUnreachable):
        export(str(project.settings_file), to=[SecretStr(NOBODY)])

    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if "to" in run.parameters]
        tasks = client.request("POST", "/task_runs/filter", json={}).text
        logs = client.request("POST", "/logs/filter", json={}).text
    assert runs
    stored = "".join(run.model_dump_json() for run in runs)
    assert "S3CR3T" not in stored + tasks + logs + "".join(capsys.readouterr())
    assert "export to redis://127.0.0.1:1/0" in tasks


@pytest.mark.long
def test_each_night_is_exported_and_a_place_that_failed_is_tried_again_by_the_next(
    project: Collection, prefect_api: str
) -> None:
    place = project.folder / "served" / "release.sqlite"
    place.mkdir(parents=True)  # no file can be put there
    project.settings["export"] = {"to": ["served/release.sqlite", NOBODY]}
    project.documents = [*project.documents, {"_id": "mead", "title": "Mead", "text": "Mead is made from honey."}]
    project.write()

    summary = refresh(str(project.settings_file))

    assert (summary.published, summary.changed) == (True, True)
    assert summary.manifest.release_id == FolderWorkspace(project.workspace).require_current()
    reported = [warning for warning in summary.warnings if "An export failed" in warning]
    assert len(reported) == 2
    assert "redis://127.0.0.1:1/0 does not answer" in reported[1]
    release = FolderWorkspace(project.workspace).release(summary.manifest.release_id)
    stored = b"".join(path.read_bytes() for path in release.rglob("*") if path.is_file())
    assert b"S3CR3T" not in stored + json.dumps(summary.as_json()).encode()

    place.rmdir()
    again = refresh(str(project.settings_file))

    assert (again.published, again.changed) == (False, False)
    assert len([warning for warning in again.warnings if "An export failed" in warning]) == 1
    assert again.seconds["export"] > 0
    assert_as_published(open_results(place), project)


def test_addresses_of_the_settings_are_in_no_message_about_the_settings(
    project: Collection, nightrank: Command
) -> None:
    for to in (NOBODY, [1, NOBODY], {"a": NOBODY}):
        project.settings_file.write_text(
            project.settings_file.read_text().partition("[export]")[0] + f"[export]\nto = {_toml(to)}\n"
        )
        for command in ("export", "refresh"):
            ended = nightrank(command, "-c", project.settings_file)
            assert ended.code == 2
            assert "[export].to" in ended.err
            assert "S3CR3T" not in ended.err


def _toml(value: object) -> str:
    return json.dumps(value).replace(": ", " = ") if isinstance(value, dict) else json.dumps(value)
