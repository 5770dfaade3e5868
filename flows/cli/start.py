"""Start: settings for what is here, a look at them and at the inputs before the first refresh, and the example."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nightrank.flows.cli.build import build_release
from nightrank.flows.cli.options import Config, Json, flag, print_json, settings_of, show


def demo(
    folder: Annotated[Path, Parameter(help="Folder that the example is put into.")] = Path("nightrank-demo"),
    *,
    json_: Json = False,
) -> int:
    """Build, publish and show the example: Python's documentation and questions people ask about it."""
    from nightrank.flows.demo.install import install_demo
    from nightrank.flows.operate.terminal import show_next_steps

    settings_file = install_demo(folder)
    code = build_release(settings_file, accept=(), json_=json_)
    if not json_:
        show_next_steps(settings_file)
    return code


def init(
    source: Annotated[
        str | None,
        Parameter(
            help="Folder, file or glob of documents, a database, s3://..., postgresql://.... Default: what is found "
            "where you stand."
        ),
    ] = None,
    *,
    yes: Annotated[bool, flag("Ask nothing, and take what was found.")] = False,
    json_: Json = False,
) -> int:
    """Look at what is here and write nightrank.toml: documents, query log, judgments, languages; never over another."""
    from nightrank.flows.start.init import initialise
    from nightrank.flows.start.terminal import asked_in_terminal, show_initialised

    asks = not yes and not json_ and sys.stdin.isatty() and sys.stdout.isatty()
    done = initialise(Path.cwd(), source, ask=asked_in_terminal if asks else None)
    show(done, show_initialised, json_=json_)
    return 0


def check(*, config: Config = None, json_: Json = False) -> int:
    """Read and judge settings, inputs and models; nothing is built, and nothing is written."""
    settings_file, configuration = settings_of(config)
    from nightrank.flows.operate.check import check_inputs

    checked = check_inputs(configuration)
    if json_:
        print_json({"settings_file": str(settings_file), **checked.as_json()})
    else:
        from nightrank.flows.operate.terminal import show_checked

        show_checked(checked, settings_file=settings_file)
    return checked.exit_code
