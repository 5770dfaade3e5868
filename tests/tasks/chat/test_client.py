"""Language models against a server that behaves as OpenAI's does, and misbehaves as such servers do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nightrank.storage.errors import InputError, MachineError, NightrankError
from nightrank.storage.memo.answers import AnswerMemo, forget_documents
from nightrank.tasks.chat.api import Prompt
from nightrank.tasks.chat.client import Answer, ChatModel
from nightrank.tasks.chat.plan import ChatPlan, plan_chat
from nightrank.tasks.chat.remembered import ask_what_is_new, remembered
from nightrank.tasks.settings.chat import ChatSettings
from tests.support.chat_server import MODEL, ChatServer, chat_server
from tests.support.hosted_server import KEY, Hang, HangUp, Spoilt, Status
from tests.tasks.rerank.hosted.test_client import Time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPTS = [Prompt("Say how long it is.", f"question {'!' * number}", f"d{number}") for number in range(7)]
EXPECTED = {prompt.question: str(len(prompt.question)) for prompt in PROMPTS}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(lambda question: str(len(question))) as served:
        yield served


def plan(server: ChatServer, **changes: object) -> ChatPlan:
    given = {"url": f"{server.url}/v1", "model": MODEL, "timeout_seconds": 5.0, "concurrency": 2, **changes}
    return plan_chat(ChatSettings.model_validate(given), section="[judge]", task="chat", kept="what was answered")


def chat(server: ChatServer, time: Time | None = None, key: str | None = KEY, **changes: Any) -> ChatModel:  # noqa: ANN401
    clock = (time or Time()).clock
    return ChatModel(plan(server, **changes), key=key, clock=clock, generator=np.random.default_rng(3))


def answers_of(model: ChatModel) -> dict[str, str]:
    with model:
        return {answer.prompt.question: answer.text for answer in model.answers(PROMPTS)}


def test_each_prompt_is_answered_once(server: ChatServer) -> None:
    assert answers_of(chat(server)) == EXPECTED
    assert server.paid == dict.fromkeys(EXPECTED, 1)
    headers, body = server.requests[0]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["temperature"] == 0.0
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_what_a_model_refuses_to_be_told_is_not_said(server: ChatServer) -> None:
    answers_of(chat(server, temperature="none", max_tokens=7))
    assert "temperature" not in server.requests[0][1]
    assert server.requests[0][1]["max_tokens"] == 7


@pytest.mark.parametrize(
    "fault",
    [
        Status(429),
        Status(429, {"Retry-After": "20"}),
        Status(500),
        Status(502, {"Content-Type": "text/html"}, "<html>bad gateway</html>"),
        Spoilt(raw=lambda raw: raw[: len(raw) // 2]),
        Spoilt(raw=lambda _: b"[" * 200_000),
        Spoilt(raw=lambda _: b"<html>Sign in to this network</html>"),
        Spoilt(raw=lambda _: b'{"choices": []}'),
        Spoilt(raw=lambda _: b'{"choices": [{"message": null}]}'),
        Spoilt(raw=lambda _: b'{"choices": [{"message": {"content": 1' + b"0" * 400 + b"}}]}"),
        Spoilt(raw=lambda _: b"1" + b"0" * 5_000),
        Spoilt(raw=lambda _: b"\xff\xfe"),
        Spoilt(raw=lambda _: b"data: {}\n\n"),
        HangUp(),
        HangUp(after=20),
    ],
    ids=[
        *("429", "429 with a wait", "500", "502", "truncated", "deep", "a page", "no choice", "no message", "10^400"),
        *("a number", "no UTF-8", "a stream", "hung up", "hung up halfway"),
    ],
)
def test_what_another_attempt_may_mend_is_tried_again(server: ChatServer, fault: Status | Spoilt | HangUp) -> None:
    time = Time()
    server.faults = [fault, fault]
    assert answers_of(chat(server, time, concurrency=1)) == EXPECTED
    assert len(time.slept) == 2
    assert set(server.paid.values()) == {1}


def test_a_request_that_takes_too_long_is_tried_again(server: ChatServer) -> None:
    time = Time()
    server.faults = [Hang(seconds=5.0)]
    assert answers_of(chat(server, time, timeout_seconds=0.3)) == EXPECTED
    assert len(time.slept) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "2"}], "2"),
        ("<think>\n3? No.\n</think>\n\n1", "1"),
        ("\ud800 2", "? 2"),
        ("", ""),
        (None, ""),
        ("3" * 200_000, "3" * 100_000),
    ],
)
def test_a_text_is_read_however_servers_write_it(content: object, text: str) -> None:
    with chat_server(lambda _: content) as served:
        assert set(answers_of(chat(served)).values()) == {text}


def test_no_more_requests_are_under_way_than_the_settings_allow(server: ChatServer) -> None:
    server.gate.clear()
    threading.Timer(0.5, server.gate.set).start()
    assert answers_of(chat(server, concurrency=3)) == EXPECTED
    assert server.most_at_once == 3


def test_requests_are_spread_over_a_minute(server: ChatServer) -> None:
    time = Time()
    answers_of(chat(server, time, requests_per_minute=30.0, concurrency=1))
    assert time.slept == pytest.approx([2.0] * 6)


def test_what_may_have_been_billed_counts_under_the_cap(server: ChatServer) -> None:
    server.faults = [Status(500), Spoilt(raw=lambda raw: raw[:9])]
    model = chat(server, max_requests=4, concurrency=1)
    assert len(answers_of(model)) == 3  # of four, one was broken; what was refused is not billed
    assert model.requests.sent == 4
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Status(401), InputError, "refuses the key"),
        (Status(402), MachineError, "asks for payment"),
        (Status(404), InputError, "refuses the request"),
        (Status(307, {"Location": "http://example.org"}), InputError, "sends requests elsewhere"),
        (Status(429, {"Retry-After": "999"}), MachineError, "asks to wait 999 seconds"),
        (Status(503), MachineError, "did not answer in 6 attempts"),
        (Spoilt(raw=lambda _: b"{}"), MachineError, "does not answer as an OpenAI-compatible API"),
    ],
)
def test_what_no_attempt_mends_is_told(
    server: ChatServer, fault: Status | Spoilt, kind: type[NightrankError], message: str
) -> None:
    server.faults = [fault] * 50
    with pytest.raises(kind, match=message):
        answers_of(chat(server, concurrency=1))
    assert len(server.requests) <= 18  # three prompts, six attempts


def test_a_prompt_that_is_refused_keeps_others_from_nothing(server: ChatServer) -> None:
    server.faults = [None, Status(400, body='{"error": {"message": "too long for the context"}}'), None]
    model = chat(server, concurrency=1)
    assert len(answers_of(model)) == 6
    [failed] = model.failed
    assert failed.prompt == PROMPTS[1]
    assert "too long for the context" in failed.reason


def test_what_was_under_way_when_something_failed_is_handed_on(server: ChatServer) -> None:
    server.faults = [Status(401)]
    found: list[Answer] = []
    server.gate.clear()
    threading.Timer(0.3, server.gate.set).start()
    with chat(server, concurrency=3) as model, pytest.raises(InputError):
        found.extend(model.answers(PROMPTS))
    assert 2 <= len(found) == len(server.requests) - 1 < len(PROMPTS)


def test_nothing_that_is_told_holds_the_key(server: ChatServer) -> None:
    server.faults = [Status(403, body=f'{{"error": "key {KEY} is not allowed"}}')]
    with pytest.raises(InputError) as failure:
        answers_of(chat(server))
    assert KEY not in f"{failure.value} {failure.value.__cause__} {failure.value.__context__}"


def test_an_answer_that_comes_drop_by_drop_is_given_up(server: ChatServer) -> None:
    """Each drop is in time, and the whole never is."""
    seconds = iter([0.0, 1.0, *([9.0] * 100)])
    clock = Time().clock

    def later() -> float:
        return next(seconds)

    slow = type(clock)(later, clock.sleep, clock.now)
    with (
        ChatModel(plan(server, attempts=1), key=KEY, clock=slow, generator=np.random.default_rng(3)) as model,
        pytest.raises(MachineError, match="not whole in time"),
    ):
        list(model.answers(PROMPTS))


# What was paid for is kept.


def test_nothing_is_asked_twice(server: ChatServer, tmp_path: Path) -> None:
    fingerprint = plan(server).fingerprint
    with AnswerMemo(tmp_path, model=fingerprint) as memo:
        asked = ask_what_is_new([*PROMPTS[:3], PROMPTS[0]], memo, lambda: chat(server))
        assert sorted(answer.prompt.question for answer in asked) == sorted(EXPECTED)[:3]
    with AnswerMemo(tmp_path, model=fingerprint) as memo:
        assert len(list(ask_what_is_new(PROMPTS, memo, lambda: chat(server)))) == 4
        assert remembered(PROMPTS, memo) == {prompt.key: EXPECTED[prompt.question] for prompt in PROMPTS}
        assert list(ask_what_is_new(PROMPTS, memo, lambda: pytest.fail("it was asked"))) == []
    assert server.paid == dict.fromkeys(EXPECTED, 1)


def test_what_was_answered_before_a_fault_is_kept(server: ChatServer, tmp_path: Path) -> None:
    server.faults = [None, None, *[Status(401)] * 9]
    with AnswerMemo(tmp_path, model="m") as memo, pytest.raises(InputError):
        list(ask_what_is_new(PROMPTS, memo, lambda: chat(server, concurrency=1)))
    server.faults.clear()
    with AnswerMemo(tmp_path, model="m") as memo:
        assert len(memo) == 2
        list(ask_what_is_new(PROMPTS, memo, lambda: chat(server)))
    assert server.paid == dict.fromkeys(EXPECTED, 1)


def test_another_word_another_model_or_another_revision_is_another_question(server: ChatServer) -> None:
    first, other = Prompt("a", "b", "d"), Prompt("ab", "", "d")
    assert first.key != other.key
    assert first.key == Prompt("a", "b", "another document with the same words").key
    plans = [plan(server), plan(server, revision="2"), plan(server, model="b"), plan(server, temperature=1.0)]
    assert len({each.fingerprint for each in plans}) == 4
    assert plan(server, max_requests=9, concurrency=9).fingerprint == plans[0].fingerprint


def test_what_is_about_a_document_is_forgotten_with_it(server: ChatServer, tmp_path: Path) -> None:
    with AnswerMemo(tmp_path, model="m") as memo:
        list(ask_what_is_new(PROMPTS, memo, lambda: chat(server)))
    assert forget_documents(tmp_path, ["d1", "d3", "unknown"]) == 2
    assert forget_documents(tmp_path, ["d1", "d3", "unknown"]) == 0
    with AnswerMemo(tmp_path, model="m") as memo:
        assert len(memo) == 5
        assert PROMPTS[1].key not in remembered(PROMPTS, memo)
    assert b"question" not in next(tmp_path.glob("*.duckdb")).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": None}, r"\[judge\].url is missing"),
        ({"model": None}, r"\[judge\].model is missing"),
        ({"url": "ftp://a/v1"}, "no plain http"),
        ({"url": "http://user:secret@a/v1"}, "no plain http"),
        ({"api_key_env": "sk-secret"}, "no name of an environment variable"),
    ],
)
def test_settings_that_cannot_be_meant_are_told_without_what_may_be_secret(
    server: ChatServer, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as failure:
        plan(server, **changes)
    assert "secret" not in str(failure.value)
