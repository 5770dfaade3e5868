"""Start: the example, and a look at one's own settings and inputs before the first refresh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nightrank.flows.cli.build import build_release
from nightrank.flows.cli.options import Config, Json, print_json, settings_of


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
