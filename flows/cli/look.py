"""Look: results, reports, releases and measures; nothing that readers see changes."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 (cyclopts reads annotations)
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

from nightrank.flows.cli.options import (
    Config,
    Json,
    Qrels,
    Release,
    at_once,
    flag,
    print_json,
    quiet_prefect,
    settings_of,
    several,
    show,
)
from nightrank.storage.errors import InputError, MachineError

if TYPE_CHECKING:
    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.serving.cache import CachedResults
    from nightrank.storage.workspace.base import Workspace


def search(
    query: Annotated[str, Parameter(help="As people type it.")],
    *,
    config: Config = None,
    live: Annotated[bool, flag("Compute the results now, by both stages, also where the release holds some.")] = False,
    near: Annotated[
        bool, flag("Where the release holds none, take the results of a query that says the same.")
    ] = False,
    cached: Annotated[bool, flag("Show what the release holds, or nothing: exit code 2.")] = False,
    filter_: Annotated[
        str | None,
        Parameter(name="--filter", help='Filter on metadata, as JSON: {"type": "docs", "weight": {"lt": 2000}}.'),
    ] = None,
    json_: Json = False,
) -> int:
    """Show the results of a query: those that the release holds, or computed now where it holds none."""
    from nightrank.storage.characters import is_whole
    from nightrank.storage.keys import normalise_query
    from nightrank.tasks.settings.ranking import NOT_HOSTED

    if cached and (live or near):
        message = "--cached shows what the release holds, and nothing else."
        raise InputError(message, remedy="Leave out --live and --near, or --cached.")

    if not normalise_query(query):
        message = f"The query {query!r} is empty."
        raise InputError(message, remedy="Give some words to look for.")
    if not is_whole(query):
        message = f"The query {query!r} holds what is no character."
        raise InputError(message, remedy="Type it in UTF-8, with whole characters.")
    _, configuration = settings_of(config)
    held = None if live else _held(configuration, query, filter_, near=near)
    found = None if held is None else held.found
    pays = configuration.settings.reranker.hosted.api != NOT_HOSTED
    if found is None and not cached and (live or not pays):
        from nightrank.flows.operate.search import live_warnings, search_live

        for warning in live_warnings(configuration):
            sys.stderr.write(f"Note: {warning}\n")
        found = search_live(configuration, query, filter_by=filter_)
    if found is None:
        assert held is not None  # what is computed is never None
        asked = repr(query) if filter_ is None else f"{query!r} with this filter"
        message = f"The release {held.release_id} holds no results for {asked}"
        message += ", nor for a query that says the same." if near else "."
        asks = ", and ask the hosted reranker" if pays else ""
        raise InputError(message, remedy=f"Use --live to compute them now{asks}, or add the query to the log.")
    if json_:
        import json
        from dataclasses import asdict

        results = [asdict(result) for result in found.results]
        condition = {"filter": json.loads(found.condition)} if found.condition is not None else {}
        is_near = found.how == "near"
        of_near = {"from_query": found.from_query, "expected_overlap": found.expected_overlap} if is_near else {}
        told = {"how": found.how, **of_near, "release_id": found.release_id, "results": results}
        print_json({"query": found.query, **condition, **told})
    else:
        from nightrank.flows.operate.terminal import show_results

        show_results(found)
    return 0


class _Held(NamedTuple):
    """What a release, by its id, holds; None where that is nothing."""

    release_id: str
    found: CachedResults | None


def _held(configuration: Configuration, query: str, filter_by: str | None, *, near: bool) -> _Held:
    """What the release holds for a query, or for one that says the same."""
    from nightrank.tasks.near.cache import SearchCache

    with SearchCache.of(configuration.workspace) as cache:
        found = cache.get(query, filter_by=filter_by, near=near)
    if near and _asks_pool(configuration.workspace, cache.release_id, found):
        from nightrank.flows.operate.search import search_pool

        found = search_pool(configuration, query, filter_by=filter_by) or found
    return _Held(cache.release_id, found)


def _asks_pool(workspace: Workspace, release_id: str, found: CachedResults | None) -> bool:
    """Whether the second tier of near answers is to be asked, which the server decides in the same way."""
    from nightrank.storage.release.files import ReleaseFiles
    from nightrank.tasks.near.tiers import asks_pool, pool_move

    files = ReleaseFiles.of(workspace, release_id, only=[ReleaseFiles.near])
    return asks_pool(found, pool_move(files))


def report(
    *,
    config: Config = None,
    release: Release = None,
    no_open: Annotated[bool, flag("Only say where it is.", name="--no-open")] = False,
    json_: Json = False,
) -> int:
    """Open the report of a release in the browser, and say where it is."""
    from nightrank.flows.operate.report import find_report, gaps_of, open_in_browser

    _, configuration = settings_of(config)
    release_id, path = find_report(configuration.workspace, release_id=release)
    if json_:
        gaps = gaps_of(configuration.workspace, release_id=release_id)
        print_json({"release_id": release_id, "path": str(path), "uri": path.as_uri(), "gaps": gaps})
        return 0
    sys.stdout.write(f"{path}\n")
    if not no_open:
        open_in_browser(path)
    return 0


def releases(*, config: Config = None, json_: Json = False) -> int:
    """List the releases: their age, size and gates, and which one is current."""
    from datetime import UTC, datetime

    from nightrank.flows.operate.releases import listed_releases

    _, configuration = settings_of(config)
    unreadable: MachineError | None = None
    try:
        current = configuration.workspace.current_release_id()
    except MachineError as error:  # the list is what a way out is chosen from
        current, unreadable = None, error
    listed = listed_releases(configuration.workspace, current=current)
    if json_:
        print_json({"current": current, "releases": [release.as_json() for release in listed]})
    else:
        from nightrank.flows.operate.terminal import show_releases

        show_releases(listed, now=datetime.now(UTC))
    if unreadable is not None:
        raise unreadable
    return 1 if any(release.damage for release in listed) else 0


def evaluate(
    *,
    config: Config = None,
    release: Release = None,
    measures: Annotated[
        tuple[str, ...],
        several("As ir_measures writes it. Default: [evaluation].measures.", name=["--measure", "-m"]),
    ] = (),
    qrels: Qrels = None,
    runs: Annotated[tuple[Path, ...], several("TREC run file that is measured beside the release.", name="--run")] = (),
    only_runs: Annotated[bool, flag("Measure the run files alone.")] = False,
    write_runs: Annotated[Path | None, Parameter(help="Folder for a TREC run file of each stage.")] = None,
    baseline: Annotated[
        str | None,
        Parameter(
            help="What to compare with, by paired tests: a release id, a settings file (*.toml), a TREC run file."
        ),
    ] = None,
    grid: Annotated[
        tuple[str, ...],
        several(
            "KEY=V1,V2 as in the settings file, such as retrieval.fusion=rrf,minmax: every combination is measured "
            "over the release, on its judged queries."
        ),
    ] = (),
    per_query: Annotated[bool, flag("Show the worst queries; with --json, every query.")] = False,
    json_: Json = False,
) -> int:
    """Measure the stages of a release, and compare it with another, with settings or run files."""
    settings_file, _ = settings_of(config)
    quiet_prefect()
    from nightrank.flows.evaluate.flow import evaluate as evaluate_flow
    from nightrank.flows.evaluate.terminal import show_evaluation

    evaluated = at_once(evaluate_flow)(
        settings_file=str(settings_file),
        release_id=release,
        measures=list(measures) or None,
        qrels=None if qrels is None else str(qrels),
        runs=[str(path) for path in runs],
        only_runs=only_runs,
        write_runs=None if write_runs is None else str(write_runs),
        baseline=baseline,
        grid=list(grid),
        per_query=per_query,
    )
    show(evaluated, show_evaluation, json_=json_)
    return 0
