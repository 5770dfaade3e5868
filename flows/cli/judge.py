"""Judge: where the judgments that everything is measured by come from."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from nightrank.flows.cli.options import Config, Json, print_json, settings_of, several, show
from nightrank.storage.errors import InputError


def judge(
    *,
    by: Annotated[
        Literal["people", "model"],
        Parameter(help="`people`: in a page at this machine; `model`: the language model that [judge] names."),
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
    json_: Json = False,
) -> int:
    """Judge the first results of every stage, and write them as qrels into [judge].folder."""
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
