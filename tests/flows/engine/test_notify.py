"""People are told of what went wrong, by the blocks of the settings, and a message that fails changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from prefect import tags
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort

from nightrank.flows.engine.names import AGAIN, MACHINE_FAILED
from nightrank.flows.night.summary import Refused
from nightrank.flows.refresh import refresh
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, WorkspaceBusy
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.listening import listening

if TYPE_CHECKING:
    from tests.support.collection import Collection


def save_block(name: str, url: str) -> None:
    block = CustomWebhookNotificationBlock(name=name, url=url, json_data={"subject": "{{subject}}", "body": "{{body}}"})
    _ = block.save(name, overwrite=True)


def told_by(collection: Collection, *blocks: str) -> None:
    collection.settings["notify"] = {"blocks": list(blocks)}
    collection.write()


@pytest.mark.long
def test_a_refused_release_is_told_with_workspace_release_gate_and_reason(
    prefect_api: str, collection: Collection
) -> None:
    with listening() as (url, reported):
        save_block("ops", url)
        told_by(collection, "custom-webhook/ops")
        refresh(str(collection.settings_file))
        assert reported == []  # a good night is no news

        collection.settings["gates"]["min_judged"] = 1.0
        collection.document("tea")["text"] = "Leaves of one bush make every tea."
        collection.write()
        with pytest.raises(Refused) as refused:
            refresh(str(collection.settings_file))

    [message] = reported
    assert message["subject"] == "Nightrank: refresh of project/workspace refused by judged"
    assert "Workspace: project/workspace" in message["body"]
    assert f"Release: {refused.value.summary.manifest.release_id}" in message["body"]
    [gate] = refused.value.summary.refused
    assert f"Gate judged: {gate.reason}" in message["body"]
    assert "--accept judged" in message["body"]


def test_a_failed_run_is_told_with_what_to_do(prefect_api: str, collection: Collection) -> None:
    with listening() as (url, reported):
        save_block("ops", url)
        told_by(collection, "custom-webhook/ops")
        (collection.folder / "corpus.jsonl").unlink()
        with pytest.raises(InputError) as failed:
            refresh(str(collection.settings_file))

    [message] = reported
    assert message["subject"] == "Nightrank: refresh of project/workspace failed"
    assert f"Why: {failed.value.message}" in message["body"]
    assert f"What to do: {failed.value.remedy}" in message["body"]


def test_a_message_that_cannot_be_sent_keeps_nobody_else_from_being_told(
    prefect_api: str, collection: Collection
) -> None:
    with listening(status=500) as (deaf, _), listening() as (url, reported):
        save_block("deaf", deaf)
        save_block("ops", url)
        told_by(collection, "custom-webhook/nobody", "custom-webhook/deaf", "custom-webhook/ops")
        (collection.folder / "queries.jsonl").unlink()
        with pytest.raises(InputError):
            refresh(str(collection.settings_file))

    assert len(reported) == 1
    assert FolderWorkspace(collection.workspace).current_release_id() is None


def test_a_run_that_the_machine_let_down_says_so_by_a_tag_and_one_that_is_begun_again_for_it_is_no_news(
    prefect_api: str, collection: Collection
) -> None:
    with listening() as (url, reported):
        save_block("ops", url)
        told_by(collection, "custom-webhook/ops")
        with load_settings(collection.settings_file).workspace.writing(now=datetime.now(UTC)):
            with pytest.raises(WorkspaceBusy):
                refresh(str(collection.settings_file))
            with tags(AGAIN), pytest.raises(WorkspaceBusy):
                refresh(str(collection.settings_file))
        assert len(reported) == 1
        (collection.folder / "corpus.jsonl").unlink()
        with tags(AGAIN), pytest.raises(InputError):
            refresh(str(collection.settings_file))
        assert len(reported) == 2  # another reason is news

    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=3)
    assert [MACHINE_FAILED in run.tags for run in runs] == [False, True, True]
