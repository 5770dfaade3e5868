"""The command line: what people and scripts call.

Heavy libraries are imported by the command that needs them, so that ``--help`` and a cached look-up start at once.
Exit codes: 0 done or nothing to do, 1 a fault of ours or of the machine, 2 the user's input, 3 a gate refused.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from nightrank.flows.cli.options import Config, Json, print_json, quiet_prefect, without_telemetry
from nightrank.flows.cli.train import train
from nightrank.storage.errors import GateRefused, InputError, MachineError, NightrankError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.schedule import Served

app = App(
    name="nightrank",
    help="Re-index a collection, rerank the known queries, measure, and publish what is better.",
    version_flags=["--version"],
)

app.command(train)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        code = app(arguments, result_action="return_value", exit_on_error=False, print_error=True)
    except NightrankError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except CycloptsError:  # it has been printed
        sys.exit(InputError.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; what was done so far is kept for the next run.\n")
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


@app.command
def demo(
    folder: Annotated[Path, Parameter(help="Where the example goes.")] = Path("nightrank-demo"),
    *,
    json_: Json = False,
) -> int:
    """Build, publish and show the example: Python's own documentation and questions people ask about it."""
    from nightrank.flows.demo.install import install_demo
    from nightrank.flows.operate.terminal import show_next_steps

    settings_file = install_demo(folder)
    code = _refresh(settings_file, accept=(), json_=json_)
    if not json_:
        show_next_steps(settings_file)
    return code


@app.command
def refresh(
    *,
    config: Config = None,
    accept: Annotated[
        tuple[str, ...],
        Parameter(help="A gate that may fail: the release is published all the same; may be repeated.", negative=""),
    ] = (),
    json_: Json = False,
) -> int:
    """One run: a new release, or nothing to do."""
    from nightrank.flows.settings import find_settings_file
    from nightrank.tasks.gates.verdicts import check_overrides

    check_overrides(accept)
    return _refresh(find_settings_file(config), accept=accept, json_=json_)


@app.command
def search(
    query: Annotated[str, Parameter(help="As people type it.")],
    *,
    config: Config = None,
    live: Annotated[bool, Parameter(negative="", help="Run both stages now, on the current release.")] = False,
    filter_: Annotated[
        str | None,
        Parameter(name="--filter", help='A filter on metadata, as JSON: {"type": "docs", "weight": {"lt": 2000}}.'),
    ] = None,
    json_: Json = False,
) -> int:
    """The top results of a query: from the cache, or computed now with --live."""
    from nightrank.flows.settings import find_settings_file, load_settings
    from nightrank.storage.keys import normalise_query

    if not normalise_query(query):
        message = f"The query {query!r} is empty."
        raise InputError(message, remedy="Give some words to look for.")
    configuration = load_settings(find_settings_file(config))
    if live:
        from nightrank.flows.operate.search import live_warnings, search_live

        for warning in live_warnings(configuration):
            sys.stderr.write(f"Note: {warning}\n")
        found = search_live(configuration, query, filter_by=filter_)
    else:
        from nightrank.storage.serving.cache import SearchCache

        with SearchCache.of(configuration.workspace) as cache:
            cached = cache.get(query, filter_by=filter_)
        if cached is None:
            asked = repr(query) if filter_ is None else f"{query!r} with this filter"
            message = f"The release {cache.release_id} holds no results for {asked}."
            raise InputError(message, remedy="Use --live to run both stages now, or add the query to the log.")
        found = cached
    source = "live" if live else "cache"
    if json_:
        import json
        from dataclasses import asdict

        results = [asdict(result) for result in found.results]
        told = {"filter": json.loads(found.condition)} if found.condition is not None else {}
        print_json({"query": found.query, **told, "source": source, "release_id": found.release_id, "results": results})
    else:
        from nightrank.flows.operate.terminal import show_results

        show_results(found, source=source)
    return 0


@app.command
def evaluate(
    *,
    config: Config = None,
    release: Annotated[str | None, Parameter(help="Release id. Default: the current one.")] = None,
    measures: Annotated[
        tuple[str, ...],
        Parameter(
            name=["--measure", "-m"],
            help="As ir_measures writes them; may be repeated. Default: [evaluation].measures.",
            negative="",
        ),
    ] = (),
    qrels: Annotated[Path | None, Parameter(help="Judgments. Default: [judgments].qrels of the settings.")] = None,
    runs: Annotated[
        tuple[Path, ...],
        Parameter(name="--run", help="TREC run file to measure beside the release; may be repeated.", negative=""),
    ] = (),
    only_runs: Annotated[bool, Parameter(negative="", help="Measure the run files alone.")] = False,
    write_runs: Annotated[Path | None, Parameter(help="Folder for a TREC run file of each stage.")] = None,
    baseline: Annotated[
        str | None,
        Parameter(help="Compare, with significance: a release id, a settings file (*.toml), a TREC run file."),
    ] = None,
    grid: Annotated[
        tuple[str, ...],
        Parameter(
            help="KEY=V1,V2 as in the settings file, such as retrieval.fusion=rrf,minmax; may be repeated: "
            "every variant of the product is run over the release, judged queries alone.",
            negative="",
        ),
    ] = (),
    per_query: Annotated[bool, Parameter(negative="", help="The worst queries; with --json, every query.")] = False,
    json_: Json = False,
) -> int:
    """Measure: every stage of a release, run files, another release or settings, grids of settings."""
    from nightrank.flows.settings import find_settings_file, load_settings

    settings_file = find_settings_file(config)
    load_settings(settings_file)
    quiet_prefect()
    from nightrank.flows.engine.api import has_prefect, require_prefect
    from nightrank.flows.evaluate.flow import evaluate as evaluate_flow

    if has_prefect():
        require_prefect()
    run = evaluate_flow if has_prefect() else evaluate_flow.fn  # its own server takes 10 to 20 seconds to start
    evaluated = run(
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
    if json_:
        print_json(evaluated.as_json())
    else:
        from nightrank.flows.evaluate.terminal import show_evaluation

        show_evaluation(evaluated)
    return 0


@app.command
def tune(
    *,
    config: Config = None,
    release: Annotated[str | None, Parameter(help="Release id. Default: the current one.")] = None,
    qrels: Annotated[Path | None, Parameter(help="Judgments. Default: [judgments].qrels of the settings.")] = None,
    folds: Annotated[int, Parameter(help="How many the judged queries are cut into.")] = 5,
    max_depth: Annotated[
        int | None, Parameter(help="Candidates that may be reranked. Default: [reranker].depth of the settings.")
    ] = None,
    no_scoring: Annotated[
        bool, Parameter(name="--no-scoring", negative="", help="Try only what needs no pair to be scored.")
    ] = False,
    seed: Annotated[int, Parameter(help="Of the folds.")] = 0,
    write: Annotated[
        bool, Parameter(negative="", help="Write what is proved better into the settings file, with its evidence.")
    ] = False,
    json_: Json = False,
) -> int:
    """Find fusion, weight and depth by judged queries, and tell what that is worth on queries that did not choose."""
    from nightrank.flows.settings import find_settings_file, load_settings

    settings_file = find_settings_file(config)
    load_settings(settings_file)
    quiet_prefect()
    from nightrank.flows.engine.api import has_prefect, require_prefect
    from nightrank.flows.tune.flow import tune as tune_flow

    if has_prefect():
        require_prefect()
    run = tune_flow if has_prefect() else tune_flow.fn  # its own server takes 10 to 20 seconds to start
    tuning = run(
        settings_file=str(settings_file),
        release_id=release,
        qrels=None if qrels is None else str(qrels),
        folds=folds,
        max_depth=max_depth,
        scoring=not no_scoring,
        write=write,
        seed=seed,
    )
    if json_:
        print_json(tuning.as_json())
    else:
        from nightrank.flows.tune.terminal import show_tuning

        show_tuning(tuning)
    return 0


@app.command
def report(
    *,
    config: Config = None,
    release: Annotated[str | None, Parameter(help="Release id. Default: the current one.")] = None,
    no_open: Annotated[bool, Parameter(name="--no-open", negative="", help="Only say where it is.")] = False,
    json_: Json = False,
) -> int:
    """Open the report of a release in the browser, and say where it is."""
    from nightrank.flows.operate.report import find_report, open_in_browser
    from nightrank.flows.settings import find_settings_file, load_settings

    workspace = load_settings(find_settings_file(config)).workspace
    release_id, path = find_report(workspace, release_id=release)
    if json_:
        print_json({"release_id": release_id, "path": str(path), "uri": path.as_uri()})
        return 0
    sys.stdout.write(f"{path}\n")
    if not no_open:
        open_in_browser(path)
    return 0


@app.command
def releases(*, config: Config = None, json_: Json = False) -> int:
    """What there is, and what is current."""
    from datetime import UTC, datetime

    from nightrank.flows.operate.releases import listed_releases
    from nightrank.flows.settings import find_settings_file, load_settings

    workspace = load_settings(find_settings_file(config)).workspace
    unreadable: MachineError | None = None
    try:
        current = workspace.current_release_id()
    except MachineError as error:  # the list is what a way out is chosen from
        current, unreadable = None, error
    listed = listed_releases(workspace, current=current)
    if json_:
        print_json({"current": current, "releases": [release.as_json() for release in listed]})
    else:
        from nightrank.flows.operate.terminal import show_releases

        show_releases(listed, now=datetime.now(UTC))
    if unreadable is not None:
        raise unreadable
    return 1 if any(release.damage for release in listed) else 0


@app.command
def rollback(
    release_id: Annotated[str | None, Parameter(help="Release id. Default: the last one before the current.")] = None,
    /,
    *,
    config: Config = None,
    json_: Json = False,
) -> int:
    """Make another release current, at once."""
    from datetime import UTC, datetime

    from nightrank.flows.settings import find_settings_file, load_settings
    from nightrank.storage.release.rollback import roll_back

    configuration = load_settings(find_settings_file(config))
    done = roll_back(configuration.workspace, release_id, now=datetime.now(UTC))
    if json_:
        print_json({"current": done.current, "before": done.before})
    else:
        from nightrank.flows.operate.terminal import show_rollback

        show_rollback(done, exports=bool(configuration.settings.export.to))
    return 0


@app.command
def doctor(
    *,
    config: Config = None,
    release: Annotated[str | None, Parameter(help="Release id. Default: the current one.")] = None,
    json_: Json = False,
) -> int:
    """Prove that the stores of a release agree; changes nothing."""
    from nightrank.flows.operate.doctor import examine
    from nightrank.flows.settings import find_settings_file, load_settings

    diagnosis = examine(load_settings(find_settings_file(config)).workspace, release_id=release)
    if json_:
        print_json(diagnosis.as_json())
    else:
        from nightrank.flows.operate.terminal import show_diagnosis

        show_diagnosis(diagnosis)
    return 0 if diagnosis.healthy else 1


@app.command
def prune(
    *,
    config: Config = None,
    keep: Annotated[
        int | None, Parameter(help="Accepted releases to keep. Default: [retention].keep of the settings.")
    ] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Say what would go, and remove nothing.")] = False,
    json_: Json = False,
) -> int:
    """Remove what nothing reaches: old releases, and what only they needed."""
    from datetime import UTC, datetime

    from nightrank.flows.operate.prune import prune_workspace
    from nightrank.flows.settings import find_settings_file, load_settings

    configuration = load_settings(find_settings_file(config))
    pruned = prune_workspace(configuration, keep=keep, dry_run=dry_run, now=datetime.now(UTC))
    if json_:
        print_json({"dry_run": dry_run, **pruned.as_json()})
    else:
        from nightrank.flows.operate.terminal import show_pruned

        show_pruned(pruned, dry_run=dry_run)
    return 0


@app.command
def schedule(
    *,
    config: Config = None,
    name: Annotated[
        str | None, Parameter(help="Of the deployments on the Prefect server. Default: the settings' folder.")
    ] = None,
    json_: Json = False,
) -> int:
    """Serve the flows on their schedules ([schedule] of the settings), until it is stopped; needs a Prefect server."""
    from nightrank.flows.settings import find_settings_file

    settings_file = find_settings_file(config)
    without_telemetry()
    from nightrank.flows.schedule import plan, serve, show_schedule

    def announce(served: Sequence[Served]) -> None:
        if json_:
            print_json({"served": [one.as_json() for one in served]})
        else:
            show_schedule(served)

    serve(plan(settings_file, name=name), on_ready=announce)
    return 0


@app.command
def export(
    *,
    config: Config = None,
    to: Annotated[
        tuple[str, ...],
        Parameter(
            help="A file (.parquet, .jsonl, .sqlite, .duckdb) or a server (redis://, valkey://, unix://, "
            "postgresql://); '${NAME}' in place of its password is read from the environment. May be repeated. "
            "Default: [export].to of the settings.",
            negative="",
        ),
    ] = (),
    release: Annotated[str | None, Parameter(help="Release id. Default: the current one.")] = None,
    name: Annotated[
        str | None,
        Parameter(help="What keys on a server begin with, or the view's name. Default: [export].name of the settings."),
    ] = None,
    json_: Json = False,
) -> int:
    """Serve a release from a file, Redis or Valkey, or Postgres: written beside what is live, then switched."""
    from nightrank.flows.settings import find_settings_file, load_settings

    settings_file = find_settings_file(config)
    load_settings(settings_file)
    quiet_prefect()
    from pydantic import SecretStr

    from nightrank.flows.engine.api import has_prefect, require_prefect
    from nightrank.flows.operate.export import export as export_flow

    if has_prefect():
        require_prefect()
    run = export_flow if has_prefect() else export_flow.fn  # its own server takes 10 to 20 seconds to start
    done = run(
        settings_file=str(settings_file),
        to=[SecretStr(address) for address in to] or None,
        release_id=release,
        name=name,
    )
    if json_:
        print_json(done.as_json())
    else:
        from nightrank.flows.operate.terminal import show_exports

        show_exports(done)
    return 0


def _refresh(settings_file: Path, *, accept: tuple[str, ...], json_: bool) -> int:
    from nightrank.flows.settings import load_settings

    load_settings(settings_file)  # a mistake in it is told before Prefect's server starts
    quiet_prefect()
    from nightrank.flows.engine.api import require_prefect
    from nightrank.flows.night.summary import Refused
    from nightrank.flows.refresh import refresh as refresh_flow

    require_prefect()
    refused: GateRefused | None = None
    try:
        summary = refresh_flow(str(settings_file), accept=accept)
    except Refused as error:
        summary, refused = error.summary, error
    if json_:
        print_json(summary.as_json())
    else:
        from nightrank.flows.night.terminal import show_summary

        show_summary(summary)
    if refused is not None:
        raise refused
    return 0


def _complain(error: NightrankError) -> None:
    sys.stderr.write(f"nightrank: {error.message}\n")
    if error.remedy:
        sys.stderr.write(f"  {error.remedy}\n")


if __name__ == "__main__":
    main()
