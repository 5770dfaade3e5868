"""A run's outcome is told whatever becomes of Prefect's record of it."""

from __future__ import annotations

import os
from typing import NoReturn

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

import nightrank.flows.engine.outcome as module
from nightrank.flows.command import end_command, one_command
from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.engine.outcome import UNRECORDED, run_flow
from nightrank.storage.errors import InputError


@nightrank_flow("tests of outcomes")
def work(settings_file: str, *, fails: bool = False) -> str:
    """Do it."""
    if fails:
        raise InputError(f"{settings_file} is wrong.", remedy="Mend it.")
    return f"done with {settings_file}"


@nightrank_flow("tests of forgotten runs")
def forgotten(settings_file: str) -> str:
    """Do it, while the server loses its record of the run, as with its database."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    with get_client(sync_client=True) as client:
        client.delete_flow_run(context.flow_run.id)
    return f"done with {settings_file}"


@pytest.fixture
def server_went_away(monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> None:
    """As the flow's own code ends, and for good."""
    monkeypatch.setattr(module, "PATIENCE_OF_PEOPLE", 0.0)
    monkeypatch.setattr(module, "_is_away", lambda: True)


def test_where_the_server_went_away_the_outcome_is_told_and_one_line(
    server_went_away: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_flow(work, "a.toml") == "done with a.toml"

    assert capsys.readouterr().err == f"Note: {UNRECORDED}\n"


def test_so_is_a_failure(server_went_away: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"a\.toml is wrong"):
        run_flow(work, "a.toml", fails=True)

    assert capsys.readouterr().err == f"Note: {UNRECORDED}\n"


def test_a_server_that_goes_away_as_the_engine_tells_it_changes_no_outcome(
    prefect_api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def engine(settings_file: str) -> str:
        work(settings_file)
        raise httpx.ConnectError("Connection refused")

    assert run_flow(engine, "a.toml") == "done with a.toml"

    assert capsys.readouterr().err == f"Note: {UNRECORDED}\n"


def test_a_server_that_lost_the_run_changes_no_outcome(prefect_api: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_flow(forgotten, "a.toml") == "done with a.toml"

    assert capsys.readouterr().err == f"Note: {UNRECORDED}\n"


def test_with_a_server_nothing_is_said_and_errors_are_the_flows_own(
    prefect_api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_flow(work, "a.toml") == "done with a.toml"
    with pytest.raises(InputError):
        run_flow(work, "a.toml", fails=True)

    assert capsys.readouterr().err == ""


def test_what_never_ran_has_no_outcome(prefect_api: str) -> None:
    def engine() -> str:
        raise httpx.ConnectError("Connection refused")

    with pytest.raises(httpx.ConnectError):
        run_flow(engine)


def test_a_command_waits_for_no_thread_that_talks_to_a_server_which_is_gone(
    server_went_away: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Left(Exception):
        pass

    def leave(_: int) -> NoReturn:
        raise Left

    monkeypatch.setattr(os, "_exit", leave)
    with one_command():
        run_flow(work, "a.toml")
        with pytest.raises(Left):
            end_command(0)
    with one_command(), pytest.raises(SystemExit):
        end_command(0)
