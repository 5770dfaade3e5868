"""How long does it take until something happens: the help, a cached answer, a night with nothing to do?

    python -m benchmarks.start_up

Commands as people call them, each in a process of its own, from start to end. The collection is the example with tiny
random models, built here the first time (minutes); a night with nothing to do loads no model, and reads files of
models in full whatever their size, so ``-c`` takes the settings of a workspace of yours instead, which must be up to
date. From the night is taken what an empty flow takes beside it: the start of Prefect and of its in-process server.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.parts.claims import Claim, benchmark_parser, main_of
from benchmarks.parts.race import Laps, race
from benchmarks.parts.settings_files import LOOSE_GATES, Sections, tiny_models, write_settings_file
from nightrank.flows.settings_file import find_settings_file, load_settings
from nightrank.storage.release.files import ReleaseFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

HELP, SEARCH, NIGHT = 0.5, 1.0, 5.0  # seconds at most; of the night, beside an empty flow
EMPTY_FLOW = """
from nightrank.flows.cli.options import quiet_prefect
quiet_prefect()
from prefect import flow
from nightrank.flows.engine.api import require_prefect
require_prefect()
flow(lambda: None, name="empty")()
"""


def main() -> None:
    """Print the claims."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("-c", "--config", type=Path, help="settings of a workspace that is up to date")
    options = parser.parse_args()
    work: Path = options.work / "start_up"
    settings_file = (_example(work) if options.config is None else find_settings_file(options.config)).resolve()
    os.environ["PREFECT_HOME"] = str((work / "prefect").resolve())  # its database is its own
    workspace = load_settings(settings_file).workspace
    query = _a_query(ReleaseFiles(workspace.release(workspace.require_current())).results.path)
    nightrank = (sys.executable, "-m", "nightrank.flows.cli.app")
    night = (*nightrank, "refresh", "-c", str(settings_file), "--json")
    assert json.loads(_output(night))["changed"] is False, "the workspace is not up to date"
    laps = race(
        {
            "help": lambda: _output((*nightrank, "--help")),
            "search": lambda: _output((*nightrank, "search", "-c", str(settings_file), query)),
            "night": lambda: _output(night),
            "empty flow": lambda: _output((sys.executable, "-c", EMPTY_FLOW)),
        },
        rounds=options.rounds,
    )
    beside = [
        max(whole - empty, 1e-3) for whole, empty in zip(laps["night"].seconds, laps["empty flow"].seconds, strict=True)
    ]
    main_of(
        [
            _claim("`nightrank --help`", laps["help"], most=HELP),
            _claim("`nightrank search`, from the cache", laps["search"], most=SEARCH),
            _claim("`nightrank refresh` with nothing to do, beside an empty flow", Laps("", tuple(beside)), most=NIGHT),
        ],
        options,
    )


def _claim(what: str, laps: Laps, *, most: float) -> Claim:
    return Claim(
        what,
        f"the demand: under {most:g} s",
        ours=laps.median,
        theirs=most,
        unit="s",
        ratio=most / laps.median,
        target=1.0,
        spread=f"{laps.low:.2f} to {laps.high:.2f}",
        share_of_limit=None,
        equal="",
    )


def _example(work: Path) -> Path:
    """The settings of the example with tiny models, built where it is not yet."""
    from benchmarks.parts.plain_nights import refresh_plainly
    from nightrank.flows.demo.install import install_demo

    folder = work / "example"
    settings_file = folder / "nightrank.toml"
    if not (folder / "workspace" / "current.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        install_demo(folder)
        sections: Sections = {
            "documents": {"source": "corpus.jsonl.gz"},
            "queries": {"log": "queries.jsonl"},
            "judgments": {"qrels": "qrels.tsv"},
            **tiny_models(work / "models"),
            "gates": LOOSE_GATES,
        }
        refresh_plainly(write_settings_file(settings_file, sections))
    return settings_file


def _a_query(path: Path) -> str:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as connection:
        [query] = connection.execute("SELECT query FROM results").fetchone()
        return str(query)


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
