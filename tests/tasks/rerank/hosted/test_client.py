"""Hosted rerankers against a server that behaves as their documentation says, and misbehaves as servers do."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.tasks.hosted.http import Clock
from nightrank.tasks.rerank.hosted.client import HostedReranker
from nightrank.tasks.rerank.hosted.plan import HostedPlan, plan_hosted
from nightrank.tasks.rerank.hosted.spending import SpendingBySection
from nightrank.tasks.settings.ranking import RerankerSettings
from tests.support.hosted_server import KEY, Hang, HangUp, RerankServer, Spoilt, Status, relevance, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APIS = ("cohere", "jina", "vllm", "infinity", "tei", "vectara")
QUERY = "wild yeast and flour"
TEXTS = [f"Passage {number} on {'yeast' if number % 3 else 'flour'} {'and more ' * number}" for number in range(7)]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass
class Time:
    """A clock that only sleeping moves."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.sleep, lambda: NOON + timedelta(seconds=self.seconds))


@pytest.fixture(params=APIS)
def server(request: pytest.FixtureRequest) -> Iterator[RerankServer]:
    with serve(request.param) as served:
        yield served


@pytest.fixture
def cohere() -> Iterator[RerankServer]:
    with serve("cohere") as served:
        yield served


def plan(server: RerankServer, *, max_tokens: int | None = None, **hosted: object) -> HostedPlan:
    corpus = {"corpus": "passages"} if server.api == "vectara" else {}
    settings = RerankerSettings.model_validate(
        {
            "model": "rerank-v3.5",
            "max_tokens": max_tokens,
            "hosted": {"api": server.api, "url": server.url, "timeout_seconds": 5.0, **corpus, **hosted},
        }
    )
    return plan_hosted(settings)


def hosted(
    server: RerankServer,
    time: Time | None = None,
    key: str | None = KEY,
    seed: int = 3,
    **changes: Any,  # noqa: ANN401
) -> HostedReranker:
    clock = (time or Time()).clock
    planned = plan(server, **changes)
    spending = SpendingBySection().under(planned.hosted)
    return HostedReranker(planned, key=key, spending=spending, clock=clock, generator=np.random.default_rng(seed))


def scores_of(reranker: HostedReranker, texts: list[str] = TEXTS) -> list[float]:
    found = np.full(len(texts), np.nan)
    with closing(reranker):
        for answer in reranker.answers(QUERY, texts):
            assert answer.scores.dtype == np.float32
            found[answer.places] = answer.scores
    return found.tolist()


EXPECTED = pytest.approx([relevance(QUERY, text) for text in TEXTS])


def test_each_passage_gets_the_score_that_the_api_gives_it(server: RerankServer) -> None:
    assert scores_of(hosted(server)) == EXPECTED
    assert server.searches == [(QUERY, TEXTS)]


def test_a_request_holds_as_many_passages_as_the_settings_allow(server: RerankServer) -> None:
    assert scores_of(hosted(server, pairs_per_request=3)) == EXPECTED
    assert [texts for _, texts in server.searches] == [TEXTS[:3], TEXTS[3:6], TEXTS[6:]]


def test_a_request_holds_no_more_than_a_server_takes_by_default() -> None:
    texts = [f"passage {number}" for number in range(70)]
    with serve("tei") as tei:
        scores_of(hosted(tei), texts)
        assert [len(asked) for _, asked in tei.searches] == [32, 32, 6]
    with serve("cohere") as cohere:
        scores_of(hosted(cohere), texts)
        assert [len(asked) for _, asked in cohere.searches] == [70]


def test_a_cut_is_asked_for_where_the_api_can_cut() -> None:
    for api, name in (("cohere", "max_tokens_per_doc"), ("vllm", "truncate_prompt_tokens")):
        with serve(api) as served:
            scores_of(hosted(served, max_tokens=300))
            assert served.requests[0][2][name] == 300
    with serve("tei") as served, pytest.raises(InputError, match="cannot be told where to cut"):
        plan(served, max_tokens=300)


def test_a_prompt_is_for_a_reranker_that_runs_here(cohere: RerankServer) -> None:
    settings = {"model": "m", "prompt": "Find it", "hosted": {"api": "cohere", "url": cohere.url}}
    with pytest.raises(InputError, match=r"\[reranker\]\.prompt is set"):
        plan_hosted(RerankerSettings.model_validate(settings))


def test_scores_of_servers_of_ones_own_are_logits() -> None:
    for api in ("tei", "infinity"):
        with serve(api) as served:
            scores_of(hosted(served))
            assert served.requests[0][2]["raw_scores"] is True


def test_vectara_gets_each_passage_once_and_is_asked_for_these_alone() -> None:
    with serve("vectara") as vectara:
        reranker = hosted(vectara)
        vectara.corpus["0" * 32] = "another passage of the corpus"
        assert scores_of(reranker) == EXPECTED
        assert scores_of(reranker) == EXPECTED
        puts = [path for path, _, _ in vectara.requests if path.endswith("/documents")]
        assert len(puts) == len(TEXTS)
        assert scores_of(hosted(vectara)) == EXPECTED  # another run finds them there, status 409


def test_a_passage_that_could_not_be_put_into_a_corpus_is_put_again() -> None:
    time = Time()
    with serve("vectara") as vectara:
        vectara.put_faults = [None, Status(503), HangUp()]
        assert scores_of(hosted(vectara, time)) == EXPECTED
        assert len(time.slept) == 2
        vectara.put_faults = [Status(429, {"Retry-After": "999"})]
        with pytest.raises(MachineError, match="asks to wait 999 seconds"):
            scores_of(hosted(vectara, time))


@pytest.mark.parametrize(
    "fault",
    [
        Status(429),
        Status(500),
        Status(502, body="<html>bad gateway</html>"),
        Status(503),
        Spoilt(raw=lambda raw: raw[: len(raw) // 2]),
        Spoilt(raw=lambda _: b"[" * 200_000),
        HangUp(),
        HangUp(after=20),
    ],
    ids=["429", "500", "502", "503", "truncated", "deep", "hung up", "hung up halfway"],
)
def test_what_another_attempt_may_mend_is_tried_again(server: RerankServer, fault: Status | Spoilt | HangUp) -> None:
    time = Time()
    server.faults = [fault, fault]
    reranker = hosted(server, time)

    assert scores_of(reranker) == EXPECTED
    assert len(time.slept) == 2
    assert max(server.paid.values()) == 1


def test_a_request_that_takes_too_long_is_tried_again(cohere: RerankServer) -> None:
    time = Time()
    cohere.faults = [Hang(seconds=5.0)]
    assert scores_of(hosted(cohere, time, timeout_seconds=0.2)) == EXPECTED
    assert len(time.slept) == 1


def test_waits_double_and_no_two_clients_wait_the_same(cohere: RerankServer) -> None:
    waits = []
    for seed in (1, 2):
        time = Time()
        cohere.faults = [Status(500)] * 5
        reranker = hosted(cohere, time, seed=seed)
        scores_of(reranker)
        waits.append(time.slept)
    for slept in waits:
        assert all(least <= wait for least, wait in zip((1, 2, 4, 8, 16), slept, strict=True))
        assert all(wait <= 1.5 * least + 1 for least, wait in zip((1, 2, 4, 8, 16), slept, strict=True))
    assert waits[0] != waits[1]


@pytest.mark.parametrize("form", ["20", format_datetime(NOON + timedelta(seconds=20), usegmt=True)])
def test_a_server_that_says_how_long_to_wait_is_not_asked_before(cohere: RerankServer, form: str) -> None:
    time = Time()
    cohere.faults = [Status(429, {"Retry-After": form})]
    assert scores_of(hosted(cohere, time)) == EXPECTED
    [wait] = time.slept
    assert 20.0 <= wait < 26.0


@pytest.mark.parametrize("form", ["soon", "", "-5", "1e400"])
def test_a_retry_after_that_says_nothing_is_passed_over(cohere: RerankServer, form: str) -> None:
    time = Time()
    cohere.faults = [Status(429, {"Retry-After": form})]
    assert scores_of(hosted(cohere, time)) == EXPECTED
    assert time.slept[0] < 3.0


@pytest.mark.parametrize(("form", "told"), [("3600", "3,600"), ("9" * 400, "1,000,000,000")])
def test_a_server_that_asks_to_wait_too_long_ends_the_run(cohere: RerankServer, form: str, told: str) -> None:
    time = Time()
    cohere.faults = [Status(429, {"Retry-After": form})]
    with pytest.raises(MachineError, match=f"asks to wait {told} seconds .* and 120 are allowed"):
        scores_of(hosted(cohere, time))
    assert time.slept == []


def test_a_server_that_never_answers_well_ends_the_run_after_the_attempts_that_are_allowed(
    cohere: RerankServer,
) -> None:
    cohere.faults = [Status(500, body='{"message": "internal\\u001b[31m error"}')] * 3
    with pytest.raises(MachineError, match="did not answer in 3 attempts; the last: status 500") as failure:
        scores_of(hosted(cohere, attempts=3))
    assert failure.value.exit_code == 1
    assert "Run again" in failure.value.remedy
    assert len(cohere.requests) == 3


def test_a_stopped_server_ends_the_run(cohere: RerankServer) -> None:
    reranker = hosted(cohere, attempts=2)
    cohere.stop()
    with pytest.raises(MachineError, match="did not answer in 2 attempts; the last: ConnectError"):
        scores_of(reranker)
    assert reranker.spending.pairs == 0


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        (lambda rows: [*rows, rows[0]], "two scores"),
        (lambda rows: [*rows, {**rows[0], "index": len(rows)}], "none of the passages"),
        (lambda rows: [*rows, {**rows[0], "index": -1}], "none of the passages"),
        (lambda rows: [{**rows[0], "index": True}, *rows[1:]], "none of the passages"),
        (lambda rows: [{**rows[0], "relevance_score": float("nan")}, *rows[1:]], "not a finite number"),
        (lambda rows: [{**rows[0], "relevance_score": 1e39}, *rows[1:]], "not a finite number"),
        (lambda rows: [{**rows[0], "relevance_score": 10**400}, *rows[1:]], "not a finite number"),
        (lambda rows: [{**rows[0], "relevance_score": "0.5"}, *rows[1:]], "not a finite number"),
        (lambda rows: [{"index": 0}, *rows[1:]], "not a finite number"),
        (lambda rows: {"0": rows}, "no list of scores"),
        (lambda rows: ["rows", *rows], "none of the passages"),
    ],
)
def test_an_answer_that_is_not_as_documented_is_kept_out_and_asked_for_again_until_the_run_ends(
    cohere: RerankServer, spoilt: Callable[[list[dict[str, Any]]], object], why: str
) -> None:
    cohere.faults = [Spoilt(rows=spoilt), None]
    assert scores_of(hosted(cohere)) == EXPECTED
    assert len(cohere.requests) == 2
    cohere.requests.clear()

    cohere.faults = [None, *[Spoilt(rows=spoilt)] * 3]
    reranker = hosted(cohere, pairs_per_request=4, attempts=3)
    arrived: list[int] = []
    says = f"does not answer as 'cohere' is documented, in 3 attempts; the last: .*{why}"
    refused = pytest.raises(MachineError, match=says)
    with refused, closing(reranker):
        for answer in reranker.answers(QUERY, TEXTS):
            arrived += answer.places.tolist()
    assert sorted(arrived) == [0, 1, 2, 3]
    assert len(cohere.requests) == 1 + 3
    assert reranker.spending.pairs == 4 + 3 * 3  # each may have been billed


def test_passages_that_an_answer_leaves_out_are_asked_for_again_and_no_others(server: RerankServer) -> None:
    server.faults = [Spoilt(rows=lambda rows: rows[:5])]
    assert scores_of(hosted(server)) == EXPECTED
    [(_, first), (_, second)] = server.searches
    assert first == TEXTS
    best = sorted(TEXTS, key=lambda text: -relevance(QUERY, text))[:5]
    assert sorted(second) == sorted(set(TEXTS) - set(best))


def test_a_server_that_scores_nothing_ends_the_run(cohere: RerankServer) -> None:
    cohere.faults = [Spoilt(rows=lambda _: [])] * 2
    with pytest.raises(MachineError, match="did not answer in 2 attempts; the last: it scored none of 7 passages"):
        scores_of(hosted(cohere, attempts=2))


def test_a_key_that_is_refused_is_the_users_error_and_is_told_by_its_place(
    server: RerankServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "sk-AnotherSecret99"
    with pytest.raises(InputError, match=r"refuses the key .*the environment variable RERANK_KEY") as failure:
        scores_of(hosted(server, key=wrong, api_key_env="RERANK_KEY"))
    assert wrong not in str(failure.value)
    assert len(server.requests) == 1


def test_a_request_that_is_refused_is_the_users_error(cohere: RerankServer) -> None:
    said = f"model not found for key {KEY} " + "x" * 500
    cohere.faults = [Status(404, body=said)]
    with pytest.raises(
        InputError, match=r"refuses the request \(status 404\): model not found for key \[key\]"
    ) as failed:
        scores_of(hosted(cohere))
    assert KEY not in str(failed.value)
    assert len(str(failed.value)) < 500


def test_payment_asked_for_is_an_error_of_its_own(cohere: RerankServer) -> None:
    cohere.faults = [Status(402)]
    with pytest.raises(MachineError, match="asks for payment"):
        scores_of(hosted(cohere))


def test_a_key_does_not_follow_a_request_elsewhere(cohere: RerankServer) -> None:
    with serve("cohere") as other:
        cohere.faults = [Status(307, {"Location": f"{other.url}/v2/rerank"})]
        with pytest.raises(InputError, match="sends requests elsewhere"):
            scores_of(hosted(cohere))
        assert other.requests == []


def test_without_a_key_none_is_sent(server: RerankServer) -> None:
    server.needs_key = False
    assert scores_of(hosted(server, key=None)) == EXPECTED
    for _, headers, _ in server.requests:
        assert not {"authorization", "x-api-key"} & headers.keys()


def test_requests_keep_the_pace_of_the_settings(cohere: RerankServer) -> None:
    time = Time()
    scores_of(hosted(cohere, time, pairs_per_request=2, requests_per_minute=120.0))
    assert time.slept == pytest.approx([0.5, 0.5, 0.5])


def test_no_more_pairs_are_sent_than_may_be_paid_for(server: RerankServer) -> None:
    reranker = hosted(server, max_pairs=5, pairs_per_request=3)
    found = scores_of(reranker)
    assert [position for position, score in enumerate(found) if not np.isnan(score)] == [0, 1, 2, 3, 4]
    assert reranker.is_spent
    assert len(server.paid) == 5
    assert np.isnan(scores_of(reranker)).all()
    assert len(server.searches) == 2


def test_no_more_searches_are_made_than_may_be_paid_for(cohere: RerankServer) -> None:
    texts = [f"passage {number}" for number in range(450)]
    reranker = hosted(cohere, max_searches=3, pairs_per_request=200)
    found = np.array(scores_of(reranker, texts))
    assert np.flatnonzero(~np.isnan(found)).tolist() == list(range(300))  # two searches, and one
    assert reranker.searches == 3


def test_searches_are_counted_as_they_are_billed(cohere: RerankServer) -> None:
    cohere.faults = [Spoilt(raw=lambda raw: raw.replace(b'"search_units": 1', b'"search_units": 4'))]
    reranker = hosted(cohere, max_searches=4)  # long passages count more than once
    scores_of(reranker)
    assert (reranker.searches, reranker.spending.pairs) == (4, 7)
    assert reranker.is_spent


def test_what_may_have_been_billed_counts_and_what_was_refused_does_not(cohere: RerankServer) -> None:
    cohere.faults = [HangUp(), Status(429), Status(500), Spoilt(raw=lambda raw: raw[:30])]
    reranker = hosted(cohere, max_pairs=21)
    assert scores_of(reranker) == EXPECTED
    assert reranker.spending.pairs == 21
    cohere.faults = [HangUp(), HangUp()]
    short = hosted(cohere, max_pairs=14)
    assert np.isnan(scores_of(short)).all()  # a third attempt might have cost more than is allowed
    assert len(cohere.requests) == 7


def test_scores_of_one_query_are_all_there_or_none(cohere: RerankServer) -> None:
    reranker = hosted(cohere, max_pairs=10)
    scores = reranker.score([QUERY] * 7 + ["salt"] * 7, TEXTS * 2, np.ones(14, dtype=np.int64))
    assert scores[:7].tolist() == EXPECTED
    assert np.isnan(scores[7:]).all()


def test_everything_that_decides_a_score_is_in_the_fingerprint_and_nothing_else(cohere: RerankServer) -> None:
    def fingerprint(**changes: object) -> str:
        given = {"model": "m", "hosted": {"api": "cohere", **changes.pop("hosted", {})}, **changes}  # type: ignore[dict-item]
        return plan_hosted(RerankerSettings.model_validate(given)).fingerprint

    known = fingerprint()
    others: list[dict[str, object]] = [
        {"model": "n"},
        {"revision": "2026-06"},
        {"max_tokens": 300},
        {"hosted": {"api": "jina"}},
        {"hosted": {"url": "https://rerank.example.com"}},
    ]
    assert len({known, *(fingerprint(**other) for other in others)}) == 6
    same: list[dict[str, object]] = [
        {"weight": 0.3},
        {"depth": 5},
        {"hosted": {"url": "https://API.cohere.com/"}},
        {
            "hosted": {
                "api_key_env": "THE_KEY",
                "max_pairs": 3,
                "max_searches": 9,
                "attempts": 2,
                "timeout_seconds": 1.0,
            }
        },
    ]
    assert {fingerprint(**other) for other in same} == {known}


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "http://[::1]:80/v1",
        "https://10.0.0.7",
        "https://rerank_1.example.com",
        "http://bücher.de",
    ],
)
def test_hosts_of_every_form_are_taken(url: str) -> None:
    settings = RerankerSettings.model_validate({"model": "m", "hosted": {"api": "vllm", "url": url}})
    assert plan_hosted(settings).url == url


@pytest.mark.parametrize(
    ("hosted", "why"),
    [
        ({"api": "tei"}, "url is missing"),
        ({"api": "cohere", "url": f"https://user:{KEY}@api.cohere.com"}, "no plain http"),
        ({"api": "cohere", "url": f"https://api.cohere.com/?key={KEY}"}, "no plain http"),
        ({"api": "cohere", "url": "ftp://api.cohere.com"}, "no plain http"),
        ({"api": "cohere", "url": "https://api.cohere.com:port"}, "no plain http"),
        ({"api": "cohere", "url": "https://api..cohere.com"}, "no plain http"),
        ({"api": "cohere", "url": f"https://{'a' * 64}.com"}, "no plain http"),
        ({"api": "cohere", "url": "https://999.1.1.1"}, "no plain http"),
        ({"api": "cohere", "url": "https://api cohere.com"}, "no plain http"),
        ({"api": "cohere", "url": "https://\u2603.com"}, "no plain http"),
        ({"api": "cohere", "url": "https://api.cohere.com/\x01"}, "no plain http"),
        ({"api": "cohere", "api_key_env": KEY}, "no name of an environment variable"),
        ({"api": "cohere", "api_key_env": KEY.partition("-")[2]}, "no name of an environment variable"),
        ({"api": "cohere", "api_key_env": KEY.partition("-")[2].upper()}, "no name of an environment variable"),
        ({"api": "cohere", "api_key_env": "co_" + KEY[3:]}, "no name of an environment variable"),
        ({"api": "cohere", "api_key_env": "A_" + "0" * 63}, "no name of an environment variable"),
        ({"api": "cohere", "api_key_env": "A", "api_key_block": "b"}, "both `api_key_env` and `api_key_block`"),
        ({"api": "vectara"}, "corpus is missing"),
        ({"api": "jina", "corpus": "passages"}, "corpus is set"),
    ],
)
def test_settings_that_cannot_be_meant_are_told_without_what_could_be_a_key(
    hosted: dict[str, object], why: str
) -> None:
    settings = RerankerSettings.model_validate({"model": "m", "hosted": hosted})
    with pytest.raises(InputError, match=why) as failure:
        plan_hosted(settings)
    reported = f"{failure.value} {failure.value.remedy}".upper()
    assert KEY[3:].upper() not in reported
