"""Questions that a model asks of documents: paid for once, in the documents' order, as far as the cap goes."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.memo.answers import forget_documents
from nightrank.tasks.chat.client import ChatModel
from nightrank.tasks.chat.plan import plan_chat
from nightrank.tasks.document_queries.asked import questions_of
from nightrank.tasks.document_queries.questions import Questions
from nightrank.tasks.settings.chat import QuestionsSettings
from tests.support.chat_server import MODEL, ChatServer, chat_server
from tests.support.hosted_server import KEY, Spoilt, Status
from tests.tasks.rerank.hosted.test_client import Time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = [{"document_id": f"d{n}", "title": f"Title {n}", "text": f"Text {n}. " * 9} for n in range(9)]


def says(question: str) -> str:
    number = question.partition("Title ")[2][0]
    return json.dumps([f"what is {number}", f"how is {number}", f"why is {number}"])


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(says) as served:
        yield served


def questions(server: ChatServer, folder: Path, **changes: object) -> Questions:
    given = {"url": f"{server.url}/v1", "model": MODEL, "concurrency": 2, "attempts": 2, **changes}
    settings = QuestionsSettings.model_validate(given)
    plan = plan_chat(settings, section="[queries.questions]", task="answer", kept="what was asked")

    def connect() -> ChatModel:
        return ChatModel(plan, key=KEY, clock=Time().clock, generator=np.random.default_rng(3))

    return Questions(folder, settings, instructions="Ask.", fingerprint=plan.fingerprint, connect=connect)


def asked(made: Questions, count: int = 100) -> list[str]:
    with made:
        return list(islice(made.of(DOCUMENTS), count))


ALL = [f"{word} is {n}" for n in range(9) for word in ("what", "how")]


def test_each_document_is_asked_of_once(server: ChatServer, tmp_path: Path) -> None:
    assert asked(questions(server, tmp_path)) == ALL
    assert asked(questions(server, tmp_path)) == ALL
    assert len(server.paid) == 9
    assert set(server.paid.values()) == {1}


def test_no_more_is_asked_than_is_wanted(server: ChatServer, tmp_path: Path) -> None:
    assert asked(questions(server, tmp_path), 5) == ALL[:5]
    assert len(server.paid) == 4  # two at a time, two questions each


def test_the_cap_is_of_a_run_and_the_next_goes_on(server: ChatServer, tmp_path: Path) -> None:
    assert asked(questions(server, tmp_path, max_requests=3)) == ALL[:6]
    assert asked(questions(server, tmp_path, max_requests=3)) == ALL[:12]
    assert len(server.paid) == 6


def test_a_model_that_fails_takes_nothing_from_the_night(server: ChatServer, tmp_path: Path) -> None:
    asked(questions(server, tmp_path), 4)
    server.faults = [Status(503)] * 99
    made = questions(server, tmp_path)
    assert asked(made) == ALL[:4]
    assert len(made.failed) == 1
    assert "did not answer in 2 attempts" in made.failed[0]


def test_a_key_that_is_refused_ends_it(server: ChatServer, tmp_path: Path) -> None:
    server.faults = [Status(401)]
    with pytest.raises(InputError, match="refuses the key"):
        asked(questions(server, tmp_path))


@pytest.mark.parametrize("answer", ["", "I cannot.\n" * 3, "[" * 200_000, '{"a": 1}', "[1, null, 1e400]"])
def test_an_answer_without_questions_is_kept_and_costs_nothing_again(
    server: ChatServer, tmp_path: Path, answer: str
) -> None:
    server.says = lambda _: answer
    server.faults = [Spoilt(raw=lambda raw: raw[:20])]
    found = asked(questions(server, tmp_path))
    assert set(found) <= {"I cannot."}  # which `can_be_asked` and near forms see to
    paid = len(server.requests)
    asked(questions(server, tmp_path))
    assert len(server.requests) == paid


def test_what_was_asked_of_a_document_goes_with_it(server: ChatServer, tmp_path: Path) -> None:
    asked(questions(server, tmp_path))
    assert forget_documents(tmp_path, ["d4"]) == 1
    assert b"how is 4" not in next(tmp_path.glob("answers-*.duckdb")).read_bytes()


def test_where_no_model_is_named_none_is_asked(tmp_path: Path) -> None:
    with questions_of(QuestionsSettings(), base=tmp_path, folder=tmp_path) as none:
        assert none is None
    with (
        pytest.raises(InputError, match=r"\[queries.questions\].model is missing"),
        questions_of(QuestionsSettings(url="http://localhost:1/v1"), base=tmp_path, folder=tmp_path),
    ):
        pass
