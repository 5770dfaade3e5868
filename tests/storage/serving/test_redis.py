"""What holds for Redis and Valkey alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from nightrank.storage.errors import InputError, MachineError, TargetUnreachable
from nightrank.storage.keys import query_key
from nightrank.storage.serving import redis as serving
from nightrank.storage.serving.reader import StoredAnswer, read_document
from nightrank.storage.serving.redis import RedisReader
from tests.storage.serving.conftest import Place
from tests.storage.serving.releases import FIRST, QUERIES_OF_ALL_KINDS, SECOND, Answered, publish
from tests.storage.serving.test_open import KILLED
from tests.support.servers import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.workspace.base import Workspace

pytestmark = pytest.mark.parametrize("place", ["redis"], indirect=True)
MANY = [Answered(f"query {number}") for number in range(2000)]


@pytest.fixture
def client(place: Place) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(place.address.url, password=PASSWORD, decode_responses=True) as client:
        yield client


def keys(client: redis.Redis, place: Place) -> dict[str, int]:
    """Every key under a name, and the seconds that it has to live; -1: for good."""
    return {key: client.ttl(key) for key in client.scan_iter(f"{place.name}:*")}


def test_what_is_live_stays_for_good_and_what_was_replaced_goes_after_the_grace(
    workspace: Workspace, place: Place, client: redis.Redis
) -> None:
    publish(workspace, FIRST, MANY)
    publish(workspace, SECOND, MANY)
    place.export(workspace, FIRST)
    assert {*keys(client, place).values()} == {-1}
    assert len(keys(client, place)) == 257
    place.export(workspace, SECOND, grace_seconds=77)
    for key, seconds in keys(client, place).items():
        assert seconds == -1 if FIRST not in key else 0 < seconds <= 77


def test_what_a_killed_export_has_written_goes_by_itself(
    workspace: Workspace, place: Place, client: redis.Redis
) -> None:
    publish(workspace, FIRST, MANY)
    command = [sys.executable, "-c", KILLED, str(workspace.root), place.where, place.name]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=False, capture_output=True)
    left = keys(client, place)
    assert len(left) > 10
    assert all(0 < seconds <= serving.STAGED_SECONDS for seconds in left.values())


def test_what_a_failed_export_has_written_goes_at_once(
    workspace: Workspace, place: Place, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(workspace, FIRST, MANY)

    def fail(_staging: object, _entries: int, *, where: str) -> None:
        raise MachineError("No.")

    monkeypatch.setattr(serving._Staging, "require", fail)
    with pytest.raises(MachineError, match=r"No\."):
        place.export(workspace)
    assert keys(client, place) == {}


def test_a_switch_whose_answer_was_lost_is_not_undone_by_trying_again(
    workspace: Workspace, place: Place, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(workspace, FIRST, MANY)
    publish(workspace, SECOND, MANY)
    place.export(workspace, FIRST)
    done = redis.Redis.transaction

    def answer_lost(self: redis.Redis, switch: Callable[[object], None], *watched: str) -> object:
        done(self, switch, *watched)
        return done(self, switch, *watched)  # as redis-py tries again when a connection breaks

    monkeypatch.setattr(redis.Redis, "transaction", answer_lost)
    place.export(workspace, SECOND)
    live = {key: seconds for key, seconds in keys(client, place).items() if SECOND in key}
    assert len(live) == 256
    assert {*live.values()} == {-1}


def test_a_look_up_that_stands_still_for_longer_than_the_grace_misses_nothing(
    workspace: Workspace, place: Place, client: redis.Redis
) -> None:
    publish(workspace, FIRST, [Answered("tea", aliases=("tea?",))])
    publish(workspace, SECOND, [Answered("tea", aliases=("tea?",))])
    place.export(workspace, FIRST)
    reader = place.open()
    assert isinstance(reader, RedisReader)
    ask, asked = reader._ask, []

    def stand_still(live: serving.Live, key: str) -> tuple[bytes | None, serving.Live]:
        asked.append(key)
        if len(asked) == 2:  # the form has been found, and says which query's it is
            place.export(workspace, SECOND)
            client.delete(*(key for key in keys(client, place) if FIRST in key))
        return ask(live, key)

    reader._ask = stand_still  # type: ignore[method-assign]  # a reader that is slow at this very place
    found = reader.get("tea?")
    assert found is not None
    assert found.results[0].document_id == f"{SECOND}/{query_key('tea')}"
    assert len(asked) == 4
    reader.close()


def test_entries_that_the_server_threw_out_are_noticed_and_written_again(
    workspace: Workspace, place: Place, client: redis.Redis
) -> None:
    publish(workspace, FIRST, MANY)
    place.export(workspace)
    assert not place.export(workspace).changed
    client.delete(next(key for key in keys(client, place) if FIRST in key))
    assert place.export(workspace).changed
    assert not place.export(workspace).changed


def test_a_server_without_room_keeps_what_it_serves(workspace: Workspace, place: Place, client: redis.Redis) -> None:
    publish(workspace, FIRST, MANY[:100])
    publish(workspace, SECOND, MANY)
    place.export(workspace, FIRST)
    used = int(client.info("memory")["used_memory"])
    client.config_set("maxmemory", used + 300_000)
    try:
        with pytest.raises(MachineError, match="no room") as reported:
            place.export(workspace, SECOND)
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", 2 * used + 100_000_000)
        warnings = place.export(workspace, SECOND).warnings
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 0)
    assert "query" not in str(reported.value)
    assert "maxmemory" in reported.value.remedy
    assert "allkeys-lru" in warnings[0]


def test_a_name_that_something_else_uses_is_refused(workspace: Workspace, place: Place, client: redis.Redis) -> None:
    publish(workspace, FIRST, [Answered("tea")])
    for value in ("text", "{}", "[1]"):
        client.set(f"{place.name}:current", value)
        with pytest.raises(InputError, match="no export has written"):
            place.export(workspace)
        with pytest.raises(InputError, match="no export has written"):
            place.open()
        assert client.get(f"{place.name}:current") == value
    client.delete(f"{place.name}:current")
    client.hset(f"{place.name}:current", "a", "b")
    with pytest.raises(InputError, match="no export has written"):
        place.export(workspace)


def test_programs_in_any_language_can_read_it(workspace: Workspace, place: Place, client: redis.Redis) -> None:
    publish(workspace, FIRST, QUERIES_OF_ALL_KINDS)
    place.export(workspace)
    pointer = json.loads(client.get(f"{place.name}:current"))  # type: ignore[arg-type]  # not awaited
    key = query_key("tea")
    document = json.loads(client.hget(f"{place.name}:{pointer['space']}:{key[:2]}", key))  # type: ignore[arg-type]
    assert (document["release_id"], document["query"], document["filter"]) == (FIRST, "tea", None)
    assert [result["rank"] for result in document["results"]] == [1, 2]
    assert isinstance(read_document(json.dumps(document)), StoredAnswer)


def test_a_server_that_does_not_answer_or_does_not_let_us_in_is_told_without_the_password(
    workspace: Workspace, place: Place
) -> None:
    publish(workspace, FIRST, [Answered("tea")])
    port = place.where.rpartition(":")[2]
    for where, kind in (
        (f"redis://:S3CR3T@127.0.0.1:{port}", InputError),
        (f"redis://127.0.0.1:{port}", InputError),
        ("redis://:S3CR3T@127.0.0.1:1/0", TargetUnreachable),
        ("redis://:S3CR3T@127.0.0.1:x/0", InputError),
        ("redis://:S3CR3T@127.0.0.1:1/0?socket_timeout=x", InputError),
    ):
        for attempt in (Place(where).open, lambda where=where: Place(where).export(workspace)):
            with pytest.raises(kind) as reported:
                attempt()
            assert (
                "S3CR3T"
                not in f"{reported.value} {reported.value!r} {reported.value.__cause__} {reported.value.__context__}"
            )
            assert reported.value.remedy
