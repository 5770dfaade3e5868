"""The application: what can be asked of the server, and how that is documented.

A route is a function from ASGI's scope to a reply; FastAPI finds it by its path and writes the OpenAPI document, whose
schemas come from the records that are replied. There is no page of documentation: FastAPI's loads its scripts from
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from nightrank.flows.serve.answer import Answer
from nightrank.flows.serve.front import Front
from nightrank.flows.serve.http.faults import Problem, RequestFault, told_of
from nightrank.flows.serve.http.parameters import shown
from nightrank.flows.serve.http.reply import JSON
from nightrank.flows.serve.mcp import PATH, mcp_application
from nightrank.flows.serve.routes.clicks import Click, clicks
from nightrank.flows.serve.routes.documents import Document, document
from nightrank.flows.serve.routes.operate import Health, Releases, healthz, metrics, releases
from nightrank.flows.serve.routes.page import page
from nightrank.flows.serve.routes.search import search
from nightrank.flows.serve.routes.suggest import Suggestions, suggest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from nightrank.flows.serve.http.guard import Guard
    from nightrank.flows.serve.http.reply import Reply
    from nightrank.flows.serve.server import Server

REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Route:
    """Something that can be asked.

    Attributes:
        path: With the names of what varies in braces.
        reply: Makes the reply.
        summary: In a few words.
        replied: What it is made of; None of what is no JSON.
        parameters: Behind the question mark: what each is, and whether it must be given.
        method: Of HTTP.
        is_fast: Whether requests go past the framework.
        is_patient: Whether they are answered however many others wait: who looks after the server asks so.
        takes: What is sent with it; None of what takes nothing.
    """

    path: str
    reply: Callable[..., Awaitable[Reply]]
    summary: str
    replied: type[msgspec.Struct] | None = None
    parameters: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    method: str = "GET"
    is_fast: bool = False
    is_patient: bool = False
    takes: type[msgspec.Struct] | None = None


ROUTES = (
    Route("/", page, "A page to search with"),
    Route(
        "/search",
        search,
        "The results of a query, and how they were made",
        Answer,
        {
            "q": ("The query, as typed.", True),
            "filter": ('On metadata, as JSON: {"type": "docs"}.', False),
            "depth": ("Results at most.", False),
        },
        is_fast=True,
    ),
    Route(
        "/suggest",
        suggest,
        "Queries that what is being typed may become",
        Suggestions,
        {"q": ("What is being typed.", False), "limit": ("Suggestions at most: 8 if nothing is said, 50.", False)},
        is_fast=True,
    ),
    Route("/clicks", clicks, "Note that a result was opened", method="POST", takes=Click),
    Route("/documents/{document_id:path}", document, "A document of the release, passage by passage", Document),
    Route("/releases", releases, "The releases of the workspace", Releases),
    Route("/healthz", healthz, "Whether the server is well", Health, is_patient=True),
    Route("/metrics", metrics, "What was counted, for Prometheus", is_patient=True),
)


PATIENT = frozenset(route.path.encode() for route in ROUTES if route.is_patient)


def application(server: Server, guard: Guard) -> Front:
    """The server's application, as ASGI knows it.

    Args:
        server: Its parts.
        guard: Lets requests in.

    Raises:
        InputError: A package that the settings ask for is not installed.
    """
    spoken = mcp_application(server) if server.settings.mcp else None
    app = FastAPI(
        title="Nightrank",
        version=version("nightrank"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,  # to an address that would be made of the request's own
        lifespan=None if spoken is None else spoken.router.lifespan_context,
        exception_handlers={HTTPException: _unknown},
    )
    for route in ROUTES:
        app.add_api_route(
            route.path,
            _endpoint(route, server),
            methods=[route.method],
            summary=route.summary,
            operation_id=route.reply.__name__,
            response_class=Response,
            include_in_schema=route.reply is not page,  # it is for people
            responses=_responses(route),
            openapi_extra=_asked(route),
        )
        if route.method == "GET":  # whoever asks for the headers alone gets those; uvicorn sends no body then
            app.add_api_route(route.path, _endpoint(route, server), methods=["HEAD"], include_in_schema=False)
    for spoken_route in spoken.routes if spoken is not None else ():
        assert isinstance(spoken_route, StarletteRoute)
        spoken_route.methods = {"POST"}  # GET would hold a stream open on which, without sessions, nothing ever comes
        app.router.routes.append(spoken_route)
    records = [record for route in ROUTES for record in (route.replied, route.takes) if record is not None]
    _, schemas = msgspec.json.schema_components([*records, Problem], ref_template=REFERENCE)
    _add_schemas(app, schemas)
    paths = [route.path.partition("{")[0] for route in ROUTES]
    return Front(
        app,
        fast={route.path: partial(route.reply, server) for route in ROUTES if route.is_fast},
        guard=guard,
        metrics=server.metrics,
        paths=[*paths, "/openapi.json", PATH],
    )


def _endpoint(route: Route, server: Server) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            sent = () if route.takes is None else (await request.body(),)
            return _response(await route.reply(server, request.scope, *sent))
        except Exception as error:
            return _response(told_of(error, request.method).reply())

    endpoint.__annotations__ = {"request": Request, "return": Response}  # FastAPI asks for them as they are
    return endpoint


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers), media_type=reply.content_type)


async def _unknown(request: Request, error: Exception) -> Response:
    """What FastAPI has no route for, in our words."""
    assert isinstance(error, HTTPException)
    what = f"There is nothing at {shown(request.url.path)}."
    if error.status_code == 405:
        what = f"{request.method} is nothing that can be done here."
    paths = ", ".join(route.path.replace(":path", "") for route in ROUTES)
    fault = RequestFault(error.status_code, what, where="path", remedy=f"There are {paths}.", headers=error.headers)
    return _response(fault.reply())


def _asked(route: Route) -> dict[str, Any]:
    """What is asked with a route, as OpenAPI has it."""
    asked: dict[str, Any] = {"parameters": [_parameter(*each) for each in route.parameters.items()]}
    if route.takes is not None:
        asked["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(route.takes)}}}
    return asked


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    """What a route replies, as OpenAPI has it."""
    replied = {} if route.replied is None else {"schema": _reference(route.replied)}
    kind = "text/plain" if route.replied is None else JSON
    problem = {"content": {JSON: {"schema": _reference(Problem)}}}
    done: dict[int | str, dict[str, Any]] = {200: {"description": "What was asked for", "content": {kind: replied}}}
    return {
        **(done if route.takes is None else {204: {"description": "It is noted"}}),
        "4XX": {"description": "The request is at fault", **problem},
        "5XX": {"description": "The server is at fault, or has too much to do", **problem},
    }


def _reference(record: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=record.__name__)}


def _parameter(name: str, meant: tuple[str, bool]) -> dict[str, Any]:
    description, is_required = meant
    kind = "integer" if name in {"depth", "limit"} else "string"
    schema = {"type": kind}
    return {"name": name, "in": "query", "required": is_required, "description": description, "schema": schema}


def _add_schemas(app: FastAPI, schemas: Mapping[str, Any]) -> None:
    """Have the OpenAPI document say what our records are."""
    written = app.openapi

    def openapi() -> dict[str, Any]:
        document = written()
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents
