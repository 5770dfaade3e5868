"""Judge: where the judgments that everything is measured by come from."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from nightrank.flows.cli.options import Config, Json, print_json, settings_of, several, show
from nightrank.storage.errors import InputError
from nightrank.tasks.judgments.clicks.rules import LEAST_LOOKS, ClickRules


def judge(
    *,
    by: Annotated[
        Literal["people", "model", "clicks"],
        Parameter(
            help="`people`: in a page at this machine; `model`: the language model that [judge] names; `clicks`: what "
            "visitors opened, as a log says."
        ),
    ],
    config: Config = None,
    queries: Annotated[
        int | None,
        Parameter(help="Queries whose results are judged, those most in demand first. Default: 50."),
    ] = None,
    releases: Annotated[
        tuple[str, ...],
        several("Release whose stages are compared, too, beside the current one.", name="--release"),
    ] = (),
    port: Annotated[int | None, Parameter(help="Port of the page; 0: any that is free. Default: 8424.")] = None,
    log: Annotated[
        str | None,
        Parameter(help="Log with clicks, relative to the settings file. Default: the server's, else [queries].log."),
    ] = None,
    click_model: Annotated[
        Literal["position", "expected"],
        Parameter(help="`position`: who looks where is estimated; `expected`: clicks over expected clicks."),
    ] = "position",
    least_looks: Annotated[
        float,
        Parameter(
            help="Looks at a document for it to be judged by clicks, each search counting as far as its "
            "rank is looked at."
        ),
    ] = LEAST_LOOKS,
    propensity: Annotated[
        tuple[float, ...],
        several("Of a look at rank 1, 2, ..., where they are known; else they are estimated."),
    ] = (),
    json_: Json = False,
) -> int:
    """Judge the first results of every stage, or take what clicks say, as qrels in [judge].folder."""
    if by == "clicks":
        from nightrank.flows.judge.clicks import judge_by_clicks
        from nightrank.flows.judge.terminal import show_judged_by_clicks

        _require_of_clicks(queries, releases, port)
        rules = ClickRules(click_model, least_looks, propensity or None)
        _, configuration = settings_of(config)
        show(judge_by_clicks(configuration, log=log, rules=rules), show_judged_by_clicks, json_=json_)
        return 0
    if log is not None or click_model != "position" or least_looks != LEAST_LOOKS or propensity:
        message = "--log, --click-model, --least-looks and --propensity are of judgments by clicks."
        raise InputError(message, remedy="Leave them out, or say --by clicks.")
    most = 50 if queries is None else queries
    if most < 1:
        raise InputError(f"--queries {most} judges nothing.", remedy="Give a number from 1 on.")
    if by == "model" and port is not None:
        raise InputError("--port is of the page in which people judge.", remedy="Leave it out.")
    _, configuration = settings_of(config)
    if by == "people":
        from nightrank.flows.judge.people import judge_by_people
        from nightrank.flows.judge.terminal import show_judged_by_people, show_waiting

        judged = judge_by_people(
            configuration,
            queries=most,
            releases=releases,
            port=8424 if port is None else port,
            on_start=(lambda waiting: print_json(waiting.as_json())) if json_ else show_waiting,
        )
        if not json_:
            show_judged_by_people(judged)
        return 0
    from datetime import UTC, datetime

    from nightrank.flows.judge.model import judge_by_model
    from nightrank.flows.judge.terminal import show_judged_by_model, show_progress

    found = judge_by_model(
        configuration, queries=most, releases=releases, now=datetime.now(UTC), on_answer=show_progress
    )
    show(found, show_judged_by_model, json_=json_)
    if found.fault is not None:
        raise found.fault
    return 0


def _require_of_clicks(queries: int | None, releases: tuple[str, ...], port: int | None) -> None:
    """Refuse what says nothing of clicks.

    Raises:
        InputError: Something does.
    """
    if queries is not None or releases or port is not None:
        message = "--queries, --release and --port are of judgments by people or a model."
        raise InputError(message, remedy="Leave them out.")
