"""The command line: what each command prints, how it ends, and what it does not load."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.cli.app import main
from nightrank.storage.errors import InputError
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.gates.rules import GATES
from nightrank.tasks.models.files import GPU_DEVICES
from tests.support.collection import LOG
from tests.support.published import snapshot

if TYPE_CHECKING:
    from tests.conftest import Command, Program
    from tests.support.collection import Collection, TomlValue

# In the order of life, as --help has them.
GROUPS = {
    "Start": ("init", "check", "demo"),
    "Build": ("refresh", "schedule"),
    "Look": ("search", "report", "releases", "evaluate"),
    "Serve": ("serve",),
    "Improve": ("judge", "tune", "train", "quantize"),
    "Operate": ("rollback", "retract", "doctor", "prune", "export"),
}
COMMANDS = tuple(command for commands in GROUPS.values() for command in commands)
COUNTS = {
    "documents",
    "documents_added",
    "documents_edited",
    "documents_removed",
    "documents_bad",
    "chunks",
    "chunks_embedded",
    "queries",
    "pairs",
    "pairs_scored",
}
STAGES = {"read", "chunk", "embed", "bm25 statistics", "retrieve bm25", "retrieve dense", "fuse", "rerank", "results"}
RESULT = {"rank", "document_id", "chunk_id", "score", "title", "text", "metadata", "snippet"}
HEAVY = (
    *("prefect", "torch", "numba", "sentence_transformers", "transformers", "scipy", "lancedb", "ir_measures"),
    *("duckdb", "pyarrow", "numpy", "jinja2", "matplotlib"),
)


def loaded_by(*arguments: str, folder: Path) -> tuple[set[str], str]:
    """Which heavy packages a command has imported when it ends well, and what it printed."""
    program = f"""
import sys
from nightrank.flows.cli.app import main
try:
    main({list(arguments)!r})
except SystemExit as ended:
    assert not ended.code, ended.code
print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return set(ended.stderr.split()), ended.stdout


@pytest.mark.parametrize(("own", "counts"), [(None, "off"), ("warn", "warn")])
def test_lancedb_logs_nothing_beside_our_words_unless_it_is_asked_to(
    monkeypatch: pytest.MonkeyPatch, own: str | None, counts: str
) -> None:
    monkeypatch.delenv("LANCEDB_LOG", raising=False)
    if own is not None:
        monkeypatch.setenv("LANCEDB_LOG", own)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert os.environ["LANCEDB_LOG"] == counts


@pytest.mark.long
@pytest.mark.parametrize("command", ["", *COMMANDS, "train embedder"])
def test_help_loads_neither_an_orchestrator_nor_a_model(command: str, tmp_path: Path) -> None:
    loaded, printed = loaded_by(*command.split(), "--help", folder=tmp_path)

    assert not loaded
    assert "Usage: nightrank" in printed
    assert all(len(line.rstrip()) <= 80 for line in printed.splitlines())
    assert "default: ()" not in printed
    assert "default: False" not in printed


def test_help_lists_the_commands_in_the_order_of_life(tmp_path: Path) -> None:
    _, printed = loaded_by("--help", folder=tmp_path)

    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        if title := re.match(r"╭─ (\w+) ─", line):
            found[title[1]] = []
        elif entry := re.match(r"│ ([a-z]+) ", line):
            found[list(found)[-1]].append(entry[1])
    assert {title: tuple(commands) for title, commands in found.items() if title != "Options"} == GROUPS


@pytest.mark.long
@pytest.mark.skipif(any(path.exists() for path in GPU_DEVICES), reason="torch is asked for the GPU")
def test_a_night_with_nothing_to_do_loads_no_model_and_nothing_of_theirs(published: Collection, tmp_path: Path) -> None:
    shutil.copytree(published.folder, tmp_path / "project")
    program = """
import sys
from pathlib import Path
from benchmarks.parts.plain_nights import refresh_plainly
assert not refresh_plainly(Path("nightrank.toml")).changed
heavy = ("torch", "transformers", "sentence_transformers", "matplotlib", "numba")
print(*(name for name in heavy if name in sys.modules))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "project",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert ended.stdout == "\n"


def test_a_cached_look_up_loads_neither_an_orchestrator_nor_a_model(published: Collection) -> None:
    loaded, printed = loaded_by("search", "black tea", folder=published.folder)

    assert not loaded
    assert "black tea" in printed


@pytest.mark.long
def test_refresh_json_is_one_object_with_what_scripts_rely_on(collection: Collection, nightrank: Command) -> None:
    ended = nightrank("refresh", "-c", collection.settings_file, "--json")

    assert (ended.code, ended.err) == (0, "")
    reported = ended.json
    assert reported["release_id"] == FolderWorkspace(collection.workspace).require_current()
    assert (reported["published"], reported["changed"]) == (True, True)
    assert set(reported["counts"]) >= COUNTS
    assert set(reported["seconds"]) >= {"total", *STAGES}
    assert (reported["coverage"], reported["dropped"]) == (1.0, {})
    assert set(reported["measures"]) >= {"bm25", "dense", "fused", "reranked", "results"}
    assert set(reported["measures"]["results"]) >= {"nDCG@10", "RR@10", "R@100"}
    off = {"source_age", "near_error", "known_items"}
    assert [gate["name"] for gate in reported["gates"]] == [name for name in GATES if name not in off]
    assert all(
        set(gate) == {"name", "passed", "value", "threshold", "reason", "accepted"} for gate in reported["gates"]
    )

    again = nightrank("refresh", "-c", collection.settings_file, "--json")

    assert (again.code, again.err) == (0, "")
    assert (again.json["published"], again.json["changed"]) == (False, False)
    assert again.json["release_id"] == reported["release_id"]
    assert set(again.json) == set(reported)


@pytest.mark.long
def test_refresh_for_people_says_what_was_done(collection: Collection, nightrank: Command) -> None:
    first = nightrank("refresh", "-c", collection.settings_file)
    second = nightrank("refresh", "-c", collection.settings_file)

    assert (first.code, second.code, first.err, second.err) == (0, 0, "", "")
    assert "Published release" in first.out
    assert re.search(r"^bm25_audit +\S+ +\S+ +passed ", first.out, re.MULTILINE)
    assert second.out.startswith("Nothing to do")


def test_the_settings_file_is_found_where_one_stands(
    collection: Collection, nightrank: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(collection.folder)
    assert nightrank("releases", "--json").json == {"current": None, "releases": []}

    monkeypatch.chdir(tmp_path)
    ended = nightrank("releases")

    assert ended.code == 2
    assert "There is no nightrank.toml" in ended.err
    assert "nightrank demo" in ended.err


def test_search_json_holds_the_cached_results(published: Collection, nightrank: Command) -> None:
    ended = nightrank("search", "  BLACK tea", "-c", published.settings_file, "--json")

    assert (ended.code, ended.err) == (0, "")
    reported = ended.json
    assert (reported["query"], reported["how"]) == ("black tea", "exact")
    with SearchCache.open(published.workspace) as cache:
        found = cache.get("black tea")
    assert found is not None
    assert reported["release_id"] == found.release_id
    assert [entry["document_id"] for entry in reported["results"]] == [result.document_id for result in found.results]
    assert all(set(entry) == RESULT for entry in reported["results"])


def test_live_search_gives_a_logged_query_what_the_cache_holds(published: Collection, nightrank: Command) -> None:
    for _, query, _ in LOG[:2]:
        cached = nightrank("search", query, "-c", published.settings_file, "--json").json
        ended = nightrank("search", query, "--live", "-c", published.settings_file, "--json")

        assert (ended.code, ended.err) == (0, "")
        assert ended.json["how"] == "live"
        for live, stored in zip(ended.json["results"], cached["results"], strict=True):
            assert live == stored


@pytest.mark.long
def test_live_search_needs_no_orchestrator(published: Collection) -> None:
    loaded, printed = loaded_by("search", "black tea", "--live", folder=published.folder)

    assert "prefect" not in loaded
    assert "black tea  (live, release" in printed


def test_live_search_answers_a_query_that_nobody_asked_before(published: Collection, nightrank: Command) -> None:
    before = snapshot(published.workspace)

    ended = nightrank("search", "pendulum", "--live", "-c", published.settings_file)

    assert ended.code == 0
    assert "pendulum  (live, release" in ended.out
    assert snapshot(published.workspace) == before


def test_what_the_release_does_not_hold_is_computed_now(published: Collection, nightrank: Command) -> None:
    ended = nightrank("search", "pendulum", "-c", published.settings_file, "--json").json
    held = nightrank("search", "black tea", "-c", published.settings_file, "--json").json

    assert (ended["how"], held["how"]) == ("live", "exact")
    assert ended["results"]


def test_search_in_the_cache_alone_says_how_to_get_what_is_not_there(published: Collection, nightrank: Command) -> None:
    ended = nightrank("search", "nobody asked this", "--cached", "-c", published.settings_file, "--json")

    release_id = nightrank("search", "black tea", "-c", published.settings_file, "--json").json["release_id"]
    assert (ended.code, ended.out) == (2, "")
    assert f"The release {release_id} holds no results for 'nobody asked this'." in ended.err
    assert "--live" in ended.err


@pytest.mark.parametrize("hosted", [{"api": "jina"}, {"api": "vllm", "url": "http://127.0.0.1:9"}])
def test_search_asks_nobody_who_is_paid_unless_that_is_said(
    hosted: dict[str, TomlValue], published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    shutil.copytree(published.folder, tmp_path / "project")
    settings: dict[str, dict[str, TomlValue]] = {
        **published.settings,
        "reranker": {"model": "another"},
        "reranker.hosted": hosted,
    }
    collection = replace(published, folder=tmp_path / "project", settings=settings)
    collection.write()

    asked = nightrank("search", "pendulum", "-c", collection.settings_file, "--json")
    held = nightrank("search", "black tea", "-c", collection.settings_file, "--json")

    assert (asked.code, asked.out, held.code, held.err) == (2, "", 0, "")
    assert "Use --live to compute them now, and ask the hosted reranker" in " ".join(asked.err.split())


@pytest.mark.parametrize("query", ["\u0301", "\U0001f41d", "?", "tea " * 5000])
def test_search_answers_whatever_is_typed(query: str, published: Collection, nightrank: Command) -> None:
    ended = nightrank("search", query, "-c", published.settings_file, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert ended.json["how"] == "live"


def test_search_for_what_is_no_text_is_the_users_mistake(published: Collection, nightrank: Command) -> None:
    ended = nightrank("search", "half \udcff pair", "-c", published.settings_file, "--json")

    assert (ended.code, ended.out) == (2, "")
    assert r"'half \udcff pair' holds what is no character" in ended.err


@pytest.mark.parametrize("other", ["--live", "--near"])
def test_search_in_the_cache_alone_is_nothing_else(other: str, published: Collection, nightrank: Command) -> None:
    ended = nightrank("search", "black tea", "--cached", other, "-c", published.settings_file)

    assert ended.code == 2
    assert "--cached shows what the release holds" in ended.err


@pytest.mark.parametrize("query", ["", "  \t "])
def test_search_of_nothing_is_the_users_mistake(query: str, published: Collection, nightrank: Command) -> None:
    ended = nightrank("search", query, "-c", published.settings_file)

    assert ended.code == 2
    assert "is empty" in ended.err


@pytest.mark.parametrize("arguments", [("search", "tea"), ("search", "tea", "--live"), ("evaluate",)])
def test_before_the_first_release_readers_are_told_to_refresh(
    arguments: tuple[str, ...], collection: Collection, nightrank: Command
) -> None:
    ended = nightrank(*arguments, "-c", collection.settings_file)

    assert (ended.code, ended.out) == (2, "")
    assert "has no published release" in ended.err
    assert "nightrank refresh" in ended.err
    assert not collection.workspace.exists()


def test_releases_without_any(collection: Collection, nightrank: Command) -> None:
    ended = nightrank("releases", "-c", collection.settings_file)

    assert (ended.code, ended.err) == (0, "")
    assert "There is no release yet" in ended.out
    assert not collection.workspace.exists()


def test_releases_lists_them_and_marks_the_current_one(published: Collection, nightrank: Command) -> None:
    current = FolderWorkspace(published.workspace).require_current()

    reported = nightrank("releases", "-c", published.settings_file, "--json").json
    shown = nightrank("releases", "-c", published.settings_file)

    assert reported["current"] == current
    [row] = reported["releases"]
    assert (row["release_id"], row["current"], row["status"], row["damage"]) == (current, True, "accepted", None)
    assert datetime.fromisoformat(row["created_at"]).tzinfo is not None
    assert row["counts"]["documents"] == len(published.documents)
    assert row["size_bytes"] > 0
    assert set(row["measures"]["results"]) >= {"nDCG@10"}
    assert all(gate["passed"] for gate in row["gates"])
    assert shown.code == 0
    assert current in shown.out
    assert "ago" in shown.out or "now" in shown.out


def test_a_damaged_manifest_hides_no_other_release(published: Collection, nightrank: Command, tmp_path: Path) -> None:
    copied = shutil.copytree(published.folder, tmp_path / "copied")
    folder = copied / "workspace" / "releases" / "20200101T000000-000Z"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")

    ended = nightrank("releases", "-c", copied / "nightrank.toml", "--json")
    shown = nightrank("releases", "-c", copied / "nightrank.toml")

    damaged, sound = ended.json["releases"]
    assert (ended.code, shown.code) == (1, 1)
    assert (damaged["release_id"], damaged["status"], damaged["size_bytes"]) == (folder.name, "damaged", 2)
    assert "is not a manifest that this version can read" in damaged["damage"]
    assert (sound["status"], sound["current"]) == ("accepted", True)
    assert f"{folder.name} is damaged" in shown.out


def test_a_pointer_that_cannot_be_read_hides_no_release(
    published: Collection, nightrank: Command, tmp_path: Path
) -> None:
    copied = shutil.copytree(published.folder, tmp_path / "copied")
    (copied / "workspace" / "current.json").write_text("{")

    ended = nightrank("releases", "-c", copied / "nightrank.toml", "--json")

    assert ended.code == 1
    assert "does not name a release" in ended.err
    assert (ended.json["current"], len(ended.json["releases"])) == (None, 1)


def test_collect_removes_what_the_newest_releases_do_not_reach(published: Collection, nightrank: Command) -> None:
    place = FolderWorkspace(published.workspace)
    current = place.require_current()
    old = place.release("20200102T030405-678Z")
    shutil.copytree(place.release(current), old)
    manifest = json.loads((old / "manifest.json").read_bytes()) | {"release_id": old.name}
    (old / "manifest.json").write_text(json.dumps(manifest))

    kept = nightrank("prune", "-c", published.settings_file, "--json").json
    place.staging("killed").mkdir()
    before = sorted(published.workspace.rglob("*"))
    said = nightrank("prune", "-c", published.settings_file, "--keep", "1", "--dry-run", "--json").json
    assert sorted(published.workspace.rglob("*")) == before
    shown = nightrank("prune", "-c", published.settings_file, "--keep", "1")

    assert kept["releases_removed"] == []
    assert (said["dry_run"], said["releases_removed"]) == (True, [old.name])
    assert said["staging_removed"] == 1
    assert said["bytes_before"] - said["bytes_after"] == sum(
        path.stat().st_size for path in place.release(current).iterdir() if path.name != "manifest.json"
    ) + len(json.dumps(manifest))
    assert (shown.code, shown.err) == (0, "")
    assert old.name in shown.out
    assert [path.name for path in place.releases.iterdir()] == [current]


def test_collect_keeps_the_current_release(published: Collection, nightrank: Command) -> None:
    ended = nightrank("prune", "-c", published.settings_file, "--keep", "0")

    assert ended.code == 2
    assert "--keep 0" in ended.err


def test_evaluate_json_measures_every_stage(published: Collection, nightrank: Command) -> None:
    ended = nightrank("evaluate", "-c", published.settings_file, "--json", "-m", "nDCG@10", "-m", "P@1")

    assert (ended.code, ended.err) == (0, "")
    reported = ended.json
    assert reported["release_id"] == FolderWorkspace(published.workspace).require_current()
    assert reported["queries"] == 6
    assert set(reported["measures"]) >= {"bm25", "dense", "fused", "reranked", "results"}
    assert set(reported["measures"]["bm25"]) == {"nDCG@10", "P@1"}


def test_evaluate_for_people_is_a_table(published: Collection, nightrank: Command) -> None:
    ended = nightrank("evaluate", "-c", published.settings_file)

    assert ended.code == 0
    assert "6 judged queries" in ended.out
    assert "nDCG@10" in ended.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--measure", "nDGC@10"), "'nDGC@10' is not a measure"),
        (("--release", "20200101T000000-000Z"), "There is no release '20200101T000000-000Z'"),
    ],
)
def test_evaluate_of_what_is_unknown_is_the_users_mistake(
    arguments: tuple[str, ...], says: str, published: Collection, nightrank: Command
) -> None:
    ended = nightrank("evaluate", *arguments, "-c", published.settings_file, "--json")

    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [("refresh", "--nope"), ("rerfesh",), ("search",), ("search", "a", "b", "c"), ("evaluate", "--release")],
)
def test_a_command_that_is_written_wrongly_ends_with_2_and_one_message(
    arguments: tuple[str, ...], nightrank: Command
) -> None:
    ended = nightrank(*arguments)

    assert ended.code == 2
    assert "Traceback" not in ended.out + ended.err
    assert ended.err.strip()
    assert not ended.out


@pytest.mark.long
def test_the_installed_program_prints_json_alone_and_nothing_of_prefects(
    collection: Collection, program: Program
) -> None:
    first = program("refresh", "--json", folder=collection.folder)
    second = program("refresh", folder=collection.folder)

    assert (first.code, first.err) == (0, "")
    assert first.json["published"]
    assert (second.code, second.err) == (0, "")
    assert second.out.startswith("Nothing to do")


@pytest.mark.long
def test_an_unreachable_prefect_api_is_one_clear_message(collection: Collection, program: Program) -> None:
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}

    ended = program("refresh", "--json", folder=collection.folder, environment=nowhere)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("nightrank: Prefect's API at http://127.0.0.1:9/api does not answer")
    assert len(ended.err.splitlines()) == 2
    assert not collection.workspace.exists()


@pytest.mark.long
def test_a_server_of_prefects_own_that_does_not_start_is_one_clear_message(
    collection: Collection, program: Program
) -> None:
    no_server = {"PREFECT_API_URL": "", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}

    ended = program("refresh", "--json", folder=collection.folder, environment=no_server)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("nightrank: Prefect's own server does not start")
    assert len(ended.err.splitlines()) == 2
    assert not collection.workspace.exists()


def test_a_failure_of_the_machine_is_one_line_and_a_fault_of_ours_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/workspace")
    faults = iter([full, InputError("a\x1b[31mb\u202e", remedy="c\x00"), KeyError("rank")])

    def command(*_arguments: object, **_options: object) -> None:
        raise next(faults)

    monkeypatch.setattr("nightrank.flows.cli.app.app", command)
    with pytest.raises(SystemExit) as ended:
        main(["refresh"])
    told = capsys.readouterr().err.splitlines()
    assert (ended.value.code, told[0]) == (1, "nightrank: /data/workspace: No space left on device.")
    assert "Make room" in told[1]
    with pytest.raises(SystemExit):  # what came from elsewhere steers no terminal
        main(["refresh"])
    assert capsys.readouterr().err == "nightrank: a\ufffd[31mb\ufffd\n  c\ufffd\n"
    with pytest.raises(KeyError):
        main(["refresh"])


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"HOME": "/proc/nonexistent"}, "Prefect's home /proc/nonexistent/.prefect cannot be written"),
        ({"PREFECT_HOME": "/proc/nonexistent"}, "Prefect's home /proc/nonexistent cannot be written"),
    ],
)
def test_a_home_that_cannot_be_written_is_told_at_once(
    environment: dict[str, str], told: str, collection: Collection, monkeypatch: pytest.MonkeyPatch, nightrank: Command
) -> None:
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    ended = nightrank("refresh", "-c", collection.settings_file)

    assert ended.code == 2
    assert told in ended.err
    assert "PREFECT_HOME" in ended.err
    assert len(ended.err.splitlines()) == 2
    assert not collection.workspace.exists()


def test_a_user_without_a_home_is_told_at_once(
    collection: Collection, monkeypatch: pytest.MonkeyPatch, nightrank: Command
) -> None:
    def none() -> Path:
        message = "Could not determine home directory."
        raise RuntimeError(message)

    monkeypatch.setattr(Path, "home", none)

    ended = nightrank("refresh", "-c", collection.settings_file)

    assert ended.code == 2
    assert ended.err.startswith("nightrank: This user has no home folder")
