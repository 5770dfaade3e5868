"""Nights with a hosted reranker: what is paid, what is kept, and what a night does when the provider fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pytest

import nightrank.tasks.rerank.hosted.client
from nightrank.flows.evaluate.flow import evaluate
from nightrank.flows.operate.search import search_live
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.hosted.http import Clock
from tests.support.collection import LOG
from tests.support.hosted_server import KEY, HangUp, RerankServer, Spoilt, Status, relevance, serve
from tests.support.published import check_readable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from tests.conftest import Command
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection

VARIABLE = "NIGHTRANK_TEST_KEY"
QUERIES = len(LOG)


@pytest.fixture
def provider() -> Iterator[RerankServer]:
    with serve("cohere") as served:
        yield served


@pytest.fixture
def hosted(collection: Collection, provider: RerankServer, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """The small collection, reranked by the provider; nobody really waits."""
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.setattr(nightrank.tasks.rerank.hosted.client, "Clock", lambda: Clock(sleep=lambda _: None))
    collection.settings["reranker"] = {"model": "rerank-v3.5", "depth": 20}
    collection.settings["reranker.hosted"] = {"api": "cohere", "url": provider.url, "api_key_env": VARIABLE}
    return collection


def candidates(collection: Collection) -> pa.Table:
    place = FolderWorkspace(collection.workspace)
    return read_table(place.release(place.require_current()) / "candidates.parquet")


def texts_of(provider: RerankServer) -> set[tuple[str, str]]:
    return set(provider.paid)


def bytes_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.long
def test_a_night_is_reranked_by_the_provider_and_the_next_pays_for_what_is_new_alone(
    hosted: Collection, refresh: Refresh, provider: RerankServer
) -> None:
    first = refresh(hosted)

    assert first.published
    assert (first.counts.pairs, first.counts.pairs_left, first.warnings) == (first.counts.pairs_scored, 0, ())
    assert first.counts.pairs == len(provider.paid)
    assert first.counts.searches == len(provider.requests) == QUERIES
    asked = [query for query, _ in provider.searches]
    assert asked == [text.lower() for _, text, _ in sorted(LOG, key=lambda row: -row[2])]  # those most in demand first
    stored = candidates(hosted)
    assert pc.count(stored.column("pair_score")).as_py() > 0
    check_readable(hosted.workspace)

    again = refresh(hosted)
    assert (again.changed, len(provider.requests)) == (False, QUERIES)

    hosted.documents.append({"_id": "mead", "title": "Mead", "text": "Mead is honey and wild yeast.", "letters": 4})
    second = refresh(hosted)
    assert second.published
    assert 0 < second.counts.pairs_scored < first.counts.pairs_scored
    assert max(provider.paid.values()) == 1
    assert {text for _, texts in provider.searches[QUERIES:] for text in texts} <= {text for _, text in provider.paid}


@pytest.mark.long
def test_the_providers_scores_decide_the_order(hosted: Collection, refresh: Refresh, provider: RerankServer) -> None:
    refresh(hosted)
    for query in {query for query, _ in provider.paid}:
        scores = [relevance(query, text) for asked, text in provider.paid if asked == query]
        with_query = candidates(hosted)
        keys = read_table(_release(hosted) / "queries.parquet", columns=["query_key", "text"]).to_pylist()
        key = next(row["query_key"] for row in keys if row["text"] == query)
        ranked = with_query.filter(pc.field("query_key") == key).sort_by("rank")
        found = [score for score in ranked.column("pair_score").to_pylist() if score is not None]
        assert found == pytest.approx(sorted(scores, reverse=True))  # its weight is 1.0


@pytest.mark.long
def test_the_queries_beyond_the_cap_keep_the_fused_order_and_say_so_until_later_nights_paid_for_them(
    hosted: Collection, refresh: Refresh, provider: RerankServer
) -> None:
    hosted.settings["reranker.hosted"]["max_pairs"] = 50
    hosted.settings["results"] = {"order": "weighted"}

    first = refresh(hosted)

    assert first.published
    assert (first.counts.pairs_scored, len(provider.paid)) == (50, 50)
    assert first.counts.pairs_left == first.counts.pairs - 50
    assert first.counts.queries_left == QUERIES - 2  # two of 20 pairs, and a half
    assert any("spending cap" in warning and f"{QUERIES - 2} of {QUERIES}" in warning for warning in first.warnings)
    assert "spending cap" in (_release(hosted) / "report.html").read_text()
    table = candidates(hosted)
    scored = {key for key, score in zip(*_columns(table, "query_key", "pair_score"), strict=True) if score is not None}
    assert len(scored) == 2
    for key, fused_rank, rank in zip(*_columns(table, "query_key", "fused_rank", "rank"), strict=True):
        assert key in scored or fused_rank == rank

    nights = [first]
    while nights[-1].counts.pairs_left:
        nights.append(refresh(hosted))
        assert nights[-1].changed
        assert nights[-1].counts.pairs_left < nights[-2].counts.pairs_left
    assert sum(night.counts.pairs_scored for night in nights) == len(provider.paid) == first.counts.pairs
    assert max(provider.paid.values()) == 1
    assert nights[-1].warnings == ()
    assert refresh(hosted).changed is False


@pytest.mark.long
def test_what_was_paid_for_an_unfinished_query_outlives_every_collection(
    hosted: Collection, refresh: Refresh, provider: RerankServer, nightrank: Command
) -> None:
    hosted.settings["reranker.hosted"]["max_pairs"] = 10  # half a query a night
    hosted.settings["retention"] = {"keep": 1}
    for night in range(1, 4):
        assert refresh(hosted).counts.pairs_scored == 10
        assert nightrank("prune", "-c", hosted.settings_file).code == 0
        assert len(provider.paid) == 10 * night
    assert max(provider.paid.values()) == 1


@pytest.mark.long
def test_a_spent_night_compares_with_one_that_was_not_as_a_doctor_sees_it(
    hosted: Collection, refresh: Refresh, nightrank: Command
) -> None:
    hosted.settings["reranker.hosted"]["max_searches"] = 3
    assert refresh(hosted).counts.searches == 3
    assert nightrank("doctor", "-c", hosted.settings_file).code == 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Spoilt(rows=lambda rows: [*rows, rows[0]]), "does not answer as 'cohere' is documented"),
        (Spoilt(rows=lambda _: []), "scored none"),
        (Status(500), "status 500"),
        (Status(429, {"Retry-After": "86400"}), "asks to wait"),
        (Spoilt(raw=lambda raw: raw[:40]), "no JSON"),
        (HangUp(), "did not answer"),
    ],
    ids=["two scores", "no scores", "500", "429", "truncated", "hung up"],
)
def test_a_provider_that_fails_for_good_ends_the_night_and_the_next_goes_on_from_there(
    hosted: Collection, refresh: Refresh, provider: RerankServer, fault: Spoilt | Status | HangUp, why: str
) -> None:
    provider.faults = [None, None, None, *[fault] * 6]

    with pytest.raises(MachineError, match=why):
        refresh(hosted)

    assert FolderWorkspace(hosted.workspace).current_release_id() is None
    paid = texts_of(provider) if not isinstance(fault, Spoilt) else set(list(provider.paid)[:60])
    provider.faults = []
    provider.paid.clear()
    summary = refresh(hosted)
    assert summary.published
    assert len(provider.searches) >= QUERIES
    assert len(paid) == 60
    assert not paid & texts_of(provider)
    assert summary.counts.pairs_scored == summary.counts.pairs - 60


@pytest.mark.long
def test_a_stopped_server_ends_the_night_with_exit_code_1_and_what_was_live_stays(
    hosted: Collection, refresh: Refresh, provider: RerankServer, nightrank: Command
) -> None:
    live = refresh(hosted).manifest.release_id
    hosted.documents.append({"_id": "mead", "title": "Mead", "text": "Mead is honey and wild yeast.", "letters": 4})
    hosted.settings["reranker.hosted"]["attempts"] = 2
    hosted.write()
    provider.stop()

    ended = nightrank("refresh", "-c", hosted.settings_file)

    assert ended.code == 1
    assert "did not answer in 2 attempts" in ended.err
    assert "Run again" in ended.err
    assert FolderWorkspace(hosted.workspace).require_current() == live


@pytest.mark.long
def test_the_key_is_nowhere_but_in_the_requests(
    hosted: Collection,
    refresh: Refresh,
    provider: RerankServer,
    nightrank: Command,
    caplog: pytest.LogCaptureFixture,
    prefect_api: str,
) -> None:
    from prefect.client.orchestration import get_client

    caplog.set_level("DEBUG")
    summary = refresh(hosted)
    provider.faults = [Status(404, body=f"no such model for {KEY}")]
    hosted.documents.append({"_id": "mead", "title": "Mead", "text": "Mead is honey and wild yeast.", "letters": 4})
    hosted.write()
    ended = nightrank("refresh", "-c", hosted.settings_file, "--json")

    assert ended.code == 2
    assert "[key]" in ended.err
    assert all(headers["authorization"] == f"Bearer {KEY}" for _, headers, _ in provider.requests)
    with get_client(sync_client=True) as client:
        reported = str(client.read_artifacts()) + str(client.read_logs())
    secret = KEY.encode()
    for text in (ended.out, ended.err, caplog.text, str(summary.as_json()), reported):
        assert KEY not in text
    assert secret not in bytes_under(hosted.folder)
    assert VARIABLE.encode() not in bytes_under(hosted.workspace)


@pytest.mark.long
def test_a_key_can_come_from_a_prefect_secret(
    hosted: Collection, refresh: Refresh, provider: RerankServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.blocks.system import Secret

    monkeypatch.delenv(VARIABLE)
    with pytest.raises(InputError, match=r"no key: .*api_key_env names is not there"):
        refresh(hosted)
    del hosted.settings["reranker.hosted"]["api_key_env"]
    hosted.settings["reranker.hosted"]["api_key_block"] = "rerank-key"
    with pytest.raises(InputError, match=r"no key: .*api_key_block names is not there"):
        refresh(hosted)
    Secret(value=KEY).save("rerank-key", overwrite=True)
    assert refresh(hosted).published
    assert KEY.encode() not in bytes_under(hosted.folder)
    assert len(provider.paid) > 0


@pytest.mark.long
def test_a_hosted_reranker_is_not_timed_and_not_watched_because_both_would_be_paid_for(
    hosted: Collection, refresh: Refresh, provider: RerankServer
) -> None:
    hosted.settings["evaluation"] = {"timed_queries": 2}
    summary = refresh(hosted)
    stages = {stage.stage: stage.milliseconds for stage in summary.ladder}
    assert stages["fused"] is not None
    assert stages["reranked"] is None
    hosted.documents.append({"_id": "mead", "title": "Mead", "text": "Mead is honey and wild yeast.", "letters": 4})
    assert refresh(hosted).counts.scores_checked == 0
    assert max(provider.paid.values()) == 1


@pytest.mark.long
def test_another_word_for_the_revision_has_all_pairs_scored_anew(
    hosted: Collection, refresh: Refresh, provider: RerankServer
) -> None:
    first = refresh(hosted)
    hosted.settings["reranker"]["revision"] = "2026-11"
    second = refresh(hosted)
    assert second.counts.pairs_scored == second.counts.pairs == first.counts.pairs
    assert set(provider.paid.values()) == {2}
    hosted.settings["reranker.hosted"] |= {"max_pairs": 5, "attempts": 2, "requests_per_minute": 600.0}
    assert refresh(hosted).changed is False


@pytest.mark.long
def test_a_live_search_asks_the_provider_and_keeps_the_fused_order_beyond_the_cap(
    hosted: Collection, refresh: Refresh, provider: RerankServer
) -> None:
    refresh(hosted)
    configuration = load_settings(hosted.settings_file)
    found = search_live(configuration, "leaves of black tea")
    best = max((text for query, text in provider.paid if query == "leaves of black tea"), key=_live_relevance)
    assert found.results[0].text in best
    hosted.settings["reranker.hosted"]["max_pairs"] = 3
    hosted.write()
    unranked = search_live(load_settings(hosted.settings_file), "leaves of black tea")
    assert len(unranked.results) == len(found.results)


@pytest.mark.long
def test_a_grid_over_pairs_that_may_not_be_paid_for_is_refused_and_keeps_what_was_paid(
    hosted: Collection, refresh: Refresh, provider: RerankServer
) -> None:
    refresh(hosted)
    known = len(provider.paid)
    hosted.settings["reranker.hosted"]["max_pairs"] = 4
    hosted.write()
    with pytest.raises(InputError, match=r"spending cap leaves .* pairs of .* queries without a score"):
        evaluate(str(hosted.settings_file), grid=["reranker.depth=20,22"])
    assert len(provider.paid) == known + 4
    assert max(provider.paid.values()) == 1


@pytest.mark.long
def test_all_that_one_evaluation_asks_for_is_under_one_cap(
    hosted: Collection, refresh: Refresh, provider: RerankServer
) -> None:
    refresh(hosted)
    known = provider.paid.total()
    evaluate(str(hosted.settings_file), grid=["reranker.revision=first"])
    of_the_judged = provider.paid.total() - known
    other = hosted.folder / "other.toml"
    hosted.settings["reranker.hosted"]["max_pairs"] = of_the_judged
    hosted.settings["reranker"]["revision"] = "second"
    hosted.write()
    other.write_bytes(hosted.settings_file.read_bytes())
    del hosted.settings["reranker"]["revision"]
    hosted.write()
    with pytest.raises(InputError, match=f"spending cap leaves {of_the_judged} pairs"):
        evaluate(str(hosted.settings_file), baseline=str(other), grid=["reranker.revision=third"])
    assert provider.paid.total() == known + 2 * of_the_judged


@pytest.mark.long
def test_no_reranker_is_trained_against_one_that_costs_money(
    hosted: Collection, refresh: Refresh, nightrank: Command, provider: RerankServer
) -> None:
    refresh(hosted)
    asked = len(provider.requests)
    ended = nightrank("train", "reranker", "-c", hosted.settings_file)
    assert ended.code == 2
    assert "Train under settings without [reranker.hosted]" in ended.err
    assert len(provider.requests) == asked


def _live_relevance(text: str) -> float:
    return relevance("leaves of black tea", text)


def _release(collection: Collection) -> Path:
    place = FolderWorkspace(collection.workspace)
    return place.release(place.require_current())


def _columns(table: pa.Table, *names: str) -> list[list[object]]:
    return [table.column(name).to_pylist() for name in names]
