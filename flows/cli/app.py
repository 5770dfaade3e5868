"""The command line: which commands there are, in the order of life, and how one ends.

Exit codes: 0 done or nothing to do, 1 a fault of ours or of the machine, 2 the user's input, 3 a gate refused.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Group

from nightrank.flows.cli.build import refresh, schedule
from nightrank.flows.cli.improve import quantize, tune
from nightrank.flows.cli.judge import judge
from nightrank.flows.cli.look import evaluate, releases, report, search
from nightrank.flows.cli.operate import doctor, export, prune, retract, rollback
from nightrank.flows.cli.options import quiet_lance
from nightrank.flows.cli.serve import serve
from nightrank.flows.cli.start import check, demo, init
from nightrank.flows.cli.train import train
from nightrank.flows.command import end_command, one_command
from nightrank.storage.errors import InputError, NightrankError
from nightrank.storage.files.text import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

app = App(
    name="nightrank",
    help="Re-index a collection, rerank the known queries, measure, and publish what is better.",
    version_flags=["--version"],
)

GROUPS: tuple[tuple[str, tuple[Callable[..., int] | App, ...]], ...] = (
    ("Start", (init, check, demo)),
    ("Build", (refresh, schedule)),
    ("Look", (search, report, releases, evaluate)),
    ("Serve", (serve,)),
    ("Improve", (judge, tune, train, quantize)),
    ("Operate", (rollback, retract, doctor, prune, export)),
)

for title, commands in GROUPS:
    group = Group.create_ordered(title)
    for place, command in enumerate(commands):
        if isinstance(command, App):
            command.group, command.sort_key = group, place
            app.command(command)
        else:
            app.command(command, group=group, sort_key=place)


app["--help"].group = app["--version"].group = Group.create_ordered("Options")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    quiet_lance()
    with one_command():
        end_command(_code(arguments))


def _code(arguments: Sequence[str] | None) -> int:
    """Run a command, and say what went wrong; its exit code."""
    try:
        code = app(arguments, result_action="return_value", exit_on_error=False, print_error=True)
    except NightrankError as error:
        return _told(error)
    except CycloptsError:  # it has been printed
        return InputError.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; what was done so far is kept for the next refresh.\n")
        return 130
    except Exception as error:
        from nightrank.storage.foreign import machine_error

        told = machine_error(error)
        if told is None:
            raise
        return _told(told)
    return code if isinstance(code, int) else 0


def _told(error: NightrankError) -> int:
    told = f"nightrank: {error.message}\n" + (f"  {error.remedy}\n" if error.remedy else "")
    sys.stderr.write(plain_text(told, lines=True))  # values of documents and words of servers may be in it
    return error.exit_code


if __name__ == "__main__":
    main()
