"""The page in which people judge: a form of buttons, which a few lines of script give keys to. It works without them.

A key is saved before the next document is shown. Only forms of this very process are listened to: each has its token,
which no other site can read.
"""

from __future__ import annotations

import hmac
import math
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from nightrank.flows.judge.session import MOST_NAME, judge_name
from nightrank.flows.serve.front import LOG, Front
from nightrank.flows.serve.http.faults import RequestFault, not_valid, told_of
from nightrank.flows.serve.http.html import page_reply
from nightrank.flows.serve.http.parameters import parameters
from nightrank.flows.serve.http.reply import Reply
from nightrank.flows.serve.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from nightrank.flows.judge.session import Agreed, Item, Progress, Session
    from nightrank.flows.serve.http.guard import Guard

FORM = b"application/x-www-form-urlencoded"
GRADES = ("Off the subject", "On the subject, no answer", "Answers a part", "Answers it")
NOTES = {
    "stale": "That was not saved: the page was of an earlier run. Press it again.",
    "full": "That was not saved: the disk does not take it. Make room, and press it again.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is on the page.

    Attributes:
        token: Of the forms.
        judge: Who judges; empty on the page that asks for a name.
        item: What they judge; None where they are through, or nobody judges.
        progress: How far they are.
        note: What went wrong with what they sent.
        pairs: Documents that wait, of all queries.
        queries: How many these are.
        judges: Everybody, and how far they are.
        agreements: Of each two of them.
    """

    token: str
    judge: str = ""
    item: Item | None = None
    progress: Progress | None = None
    note: str = ""
    pairs: int = 0
    queries: int = 0
    judges: Sequence[tuple[str, Progress]] = ()
    agreements: Sequence[Agreed] = ()
    grades: Sequence[str] = GRADES
    most_name: int = MOST_NAME

    @property
    def title(self) -> str:
        """Of the page."""
        return "Judge results" if self.item is None else f"{self.item.query.text} – Judge results"

    def link(self, name: str) -> str:
        """To a judge's own page."""
        return f"/?judge={quote(name, safe='')}"

    def number(self, value: float) -> str:
        """A figure, to two places."""
        return f"{value:.2f}" if math.isfinite(value) else "–"


@dataclass(frozen=True, slots=True)
class JudgePage:
    """The page of one session.

    Attributes:
        session: What is judged.
        token: That its forms carry.
    """

    session: Session
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    async def show(self, request: Request) -> Reply:
        """``GET /``: what a judge reads next, or everybody and how far they agree."""
        given = parameters(request.scope["query_string"], known=("judge", "note"))
        note = NOTES.get(given.get("note", ""), "")
        if not given.get("judge"):
            return self._start(note)
        if (judge := judge_name(given["judge"])) is None:
            return self._start(f"A name has 1 to {MOST_NAME} plain characters.", status=400)
        item, progress = self.session.next_item(judge), self.session.progress(judge)
        if item is None:
            return self._reply(self._everybody(note, judge=judge, progress=progress))
        return self._reply(Shown(self.token, judge, item, progress, note))

    async def said(self, request: Request) -> Reply:
        """``POST /said``: what a judge says of a document is kept, and the next one is shown."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.encode() != FORM:
            raise RequestFault(415, "Grades are sent as a form.", where="Content-Type", remedy="Use the page.")
        try:
            pairs = parse_qsl((await request.body()).decode("ascii"), errors="strict", max_num_fields=8)
        except ValueError as error:
            raise not_valid("What was sent is no form.", where="body", remedy="Use the page.") from error
        sent = dict(pairs)
        judge = judge_name(sent.get("judge", ""))
        if judge is None:
            raise not_valid("There is no name.", where="judge", remedy="Use the page.")
        to = f"/?judge={quote(judge, safe='')}"
        if not hmac.compare_digest(sent.get("token", "").encode(), self.token.encode()):
            return _see_other(f"{to}&note=stale")
        say, item = sent.get("say", ""), self.session.item(sent.get("item", ""))
        try:
            if say == "undo":
                self.session.undo(judge)
            elif item is not None and say in {"0", "1", "2", "3", "skip"}:
                self.session.say(judge, item, None if say == "skip" else int(say))
            else:
                raise not_valid("There is no such document, or no such grade.", where="body", remedy="Use the page.")
        except OSError:
            LOG.exception("What %s said was not saved.", judge)
            return _see_other(f"{to}&note=full")
        return _see_other(to)

    def _start(self, note: str, *, status: int = 200) -> Reply:
        return self._reply(self._everybody(note), status=status)

    def _everybody(self, note: str, *, judge: str = "", progress: Progress | None = None) -> Shown:
        session = self.session
        return Shown(
            self.token,
            judge,
            progress=progress,
            note=note,
            pairs=session.pairs,
            queries=session.queries,
            judges=[(name, session.progress(name)) for name in session.judges],
            agreements=session.agreements(),
        )

    def _reply(self, shown: Shown, *, status: int = 200) -> Reply:
        return page_reply(
            "judge/page/judge.html.jinja",
            shown,
            style="judge/page/judge.css",
            script="judge/page/judge.js",
            status=status,
        )


def application(page: JudgePage, guard: Guard) -> Front:
    """The page's application, as ASGI knows it.

    Args:
        page: It.
        guard: Lets requests in.
    """
    app = FastAPI(
        title="Nightrank",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _unknown},
    )
    app.add_api_route("/", _endpoint(page.show), methods=["GET"], response_class=Response)
    app.add_api_route("/said", _endpoint(page.said), methods=["POST"], response_class=Response)
    return Front(app, fast={}, guard=guard, metrics=Metrics(), paths=["/", "/said"])


def _endpoint(reply: Callable[[Request], Awaitable[Reply]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return _response(await reply(request))
        except Exception as error:
            return _response(told_of(error, request.method).reply())

    endpoint.__annotations__ = {"request": Request, "return": Response}  # FastAPI asks for them as they are
    return endpoint


async def _unknown(_: Request, error: Exception) -> Response:
    """What FastAPI has no route for, in our words."""
    assert isinstance(error, HTTPException)
    fault = RequestFault(error.status_code, "There is nothing here.", where="path", remedy="There is /.")
    return _response(fault.reply())


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers), media_type=reply.content_type)


def _see_other(address: str) -> Reply:
    return Reply(303, b"", "text/plain", {"Location": address})
