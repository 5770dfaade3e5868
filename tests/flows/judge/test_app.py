"""The page over HTTP: what it takes, what it refuses, what it keeps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from nightrank.flows.judge.app import JudgePage, application
from nightrank.flows.judge.people import MOST_BODY_BYTES
from nightrank.flows.serve.http.guard import LOOPBACK, Guard
from nightrank.storage.grades import GradeLog
from tests.flows.judge.test_session import session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.flows.judge.session import Session


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Session]:
    with GradeLog(tmp_path) as log:
        yield session(log)


@pytest.fixture
def client(judged: Session) -> TestClient:
    guard = Guard(None, hosts=LOOPBACK, max_body_bytes=MOST_BODY_BYTES)
    return TestClient(application(JudgePage(judged), guard), base_url="http://127.0.0.1:8424")


def form_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def test_a_grade_is_kept_and_the_next_document_shown(client: TestClient, judged: Session) -> None:
    first = client.get("/", params={"judge": "Ann Ö"})
    assert "0 of 16 judged" in first.text
    second = client.post("/said", data={**form_of(first.text), "say": "2"})
    assert second.status_code == 200  # after 303
    assert "1 of 16 judged" in second.text
    assert judged.graded() == {"Ann Ö": 1}
    third = client.post("/said", data={**form_of(second.text), "say": "undo"})
    assert form_of(third.text) == form_of(first.text)
    assert judged.graded() == {}


def test_another_site_can_say_nothing(client: TestClient, judged: Session) -> None:
    form = form_of(client.get("/?judge=Ann").text) | {"say": "3"}
    stale = client.post("/said", data={**form, "token": "guessed"})
    assert "was not saved" in stale.text
    assert client.post("/said", data=form, headers={"Host": "evil.example"}).status_code == 421
    assert client.post("/said", json=form).status_code == 415
    assert judged.graded() == {}
    policy = stale.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "change",
    [{"say": "4"}, {"say": ""}, {"say": "10"}, {"item": "0" * 32}, {"judge": ""}, {"judge": "a" * 41}],
)
def test_what_the_page_would_not_send_is_refused(client: TestClient, judged: Session, change: dict[str, str]) -> None:
    form = form_of(client.get("/?judge=Ann").text) | {"say": "3"} | change
    assert client.post("/said", data=form).status_code == 400
    assert judged.graded() == {}


def test_what_the_disk_does_not_take_was_never_said_and_is_told(
    client: TestClient, judged: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.post("/said", data={**form_of(client.get("/?judge=Ann").text), "say": "2"})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for say in ("3", "undo"):
        with monkeypatch.context() as patched:
            patched.setattr("nightrank.flows.judge.session.write_judgments", full)
            patched.setattr("pathlib.Path.unlink", full)
            told = client.post("/said", data={**form_of(first.text), "say": say})
        assert told.status_code == 200  # after 303
        assert "Make room" in told.text
        assert judged.graded() == {"Ann": 1}
        assert form_of(told.text) == form_of(first.text)
    assert "2 of 16 judged" in client.post("/said", data={**form_of(first.text), "say": "0"}).text


def test_what_is_far_too_long_is_refused(client: TestClient) -> None:
    assert client.post("/said", data={"say": "x" * 5_000}).status_code == 413
    assert client.get("/", params={"judge": "x" * 41}).status_code == 400
    assert client.get("/?other=1").status_code == 400
    assert client.get("/elsewhere").status_code == 404


def test_everybody_is_shown_how_far_they_are(client: TestClient, judged: Session) -> None:
    for judge in ("Ann", "<b>Ben</b>"):
        for grade in (0, 1, 2, 3) * 4:
            item = judged.next_item(judge)
            assert item is not None
            judged.say(judge, item, grade)
    page = client.get("/").text
    assert "<b>Ben" not in page
    assert "&lt;b&gt;Ben&lt;/b&gt; and Ann" in page
    assert "you have judged all 16" in client.get("/?judge=Ann").text
