"""What ``--json`` prints is what the page on it says, for every command that has it."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from nightrank.flows.cli.app import app
from nightrank.flows.evaluate.outcome import Evaluated
from nightrank.flows.judge.clicks import JudgedByClicks
from nightrank.flows.judge.model import JudgedByModel
from nightrank.flows.judge.people import Waiting
from nightrank.flows.night.summary import Summary
from nightrank.flows.operate.check import Checked
from nightrank.flows.operate.doctor import Diagnosis
from nightrank.flows.operate.export import Exports
from nightrank.flows.operate.quantize import Quantized
from nightrank.flows.operate.retract import TakenDown
from nightrank.flows.serve.run import Started
from nightrank.flows.start.init import Initialised
from nightrank.flows.train.promotion import Trained
from nightrank.flows.tune.flow import Tuning
from nightrank.storage.release.prune import Pruned
from nightrank.tasks.judgments.clicks.judge import ClickJudgments
from nightrank.tasks.tune.cross_validate import Tuned
from tests.docs.pages import DOCS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cyclopts import App

    from tests.conftest import Command
    from tests.support.collection import Collection

# The outcome that a command shows, and those that are part of its object; others print what they name themselves.
OUTCOMES: dict[str, tuple[type, ...]] = {
    "demo": (Summary,),
    "init": (Initialised,),
    "check": (Checked,),
    "refresh": (Summary,),
    "evaluate": (Evaluated,),
    "judge": (Waiting, JudgedByModel, JudgedByClicks, ClickJudgments),
    "tune": (Tuning, Tuned),
    "train embedder": (Trained,),
    "train reranker": (Trained,),
    "train promote": (Trained,),
    "quantize": (Quantized,),
    "doctor": (Diagnosis,),
    "prune": (Pruned,),
    "export": (Exports,),
    "retract": (TakenDown,),
    "serve": (Started,),
}


def documented() -> dict[str, set[str]]:
    """The keys of each command's object, from the page's first table; a row without a command goes on the one above."""
    found: dict[str, set[str]] = {}
    names: list[str] = []
    for line in (DOCS / "reference" / "json.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(("| `", "| |")):
            _, first, keys, _ = line.split("|")
            names = re.findall(r"`([\w ]+)`", first) or names
            for name in names:
                found.setdefault(name, set()).update(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", keys)))
    return found


def commands_with_json(command: App = app, *words: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command that takes ``--json``, by the words it is called with, and its function."""
    for name in command:
        if name.startswith("-"):
            continue
        inner = command[name]
        if inner.default_command is None:
            yield from commands_with_json(inner, *words, name)
        elif any("--json" in argument.names for argument in inner.assemble_argument_collection()):
            yield " ".join([*words, name]), inner.default_command


def parsed(function: Callable[..., Any]) -> ast.FunctionDef:
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    return tree


def keys_of_outcome(outcome: type) -> set[str]:
    """The keys of the object that ``as_json`` of a class returns, as its source has them."""
    function = parsed(outcome.as_json)  # type: ignore[attr-defined]
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    return set().union(*(keys_in(value, function, outcome) for value in returned))


def keys_printed(function: ast.FunctionDef) -> set[str]:
    """The keys of what a command itself hands to ``print_json``."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    printed = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print_json"]
    return set().union(*(keys_in(value, function, None) for value in printed))


def keys_in(value: ast.expr, function: ast.FunctionDef, outcome: type | None) -> set[str]:
    """The keys of a dictionary that an expression of a function makes; none of what another object gives."""
    if isinstance(value, ast.Dict):
        inner = zip(value.keys, value.values, strict=True)
        return set().union(
            *(
                keys_in(each, function, outcome) if key is None else {str(key.value)}
                for key, each in inner
                if key is None or isinstance(key, ast.Constant)
            )
        )
    if isinstance(value, ast.IfExp):
        return keys_in(value.body, function, outcome) | keys_in(value.orelse, function, outcome)
    if isinstance(value, ast.Name):
        return keys_of_name(value.id, function, outcome)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "asdict":
        assert outcome is not None
        return {field.name for field in fields(outcome)}
    return set()


def keys_of_name(name: str, function: ast.FunctionDef, outcome: type | None) -> set[str]:
    """The keys of a dictionary by its name in a function: as it was made, and what was added."""
    found: set[str] = set()
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and target.id == name and isinstance(value, ast.expr):
                found |= keys_in(value, function, outcome)
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id == name:
                assert isinstance(target.slice, ast.Constant)
                found.add(str(target.slice.value))
    return found


def test_every_command_that_takes_json_has_its_row_and_no_other_has_one() -> None:
    assert set(documented()) == {name for name, _ in commands_with_json()}


@pytest.mark.parametrize(("name", "function"), [pytest.param(*each, id=each[0]) for each in commands_with_json()])
def test_the_keys_of_a_row_are_those_that_the_code_names(name: str, function: Callable[..., Any]) -> None:
    keys = set().union(keys_printed(parsed(function)), *map(keys_of_outcome, OUTCOMES.get(name, ())))

    assert len(keys) > 1
    assert documented()[name] == keys


@pytest.mark.parametrize(
    "command",
    [("refresh",), ("search", "black tea"), ("evaluate",), ("releases",), ("doctor",), ("report",)],
    ids=lambda command: command[0],
)
def test_the_keys_of_an_object_are_those_of_the_page(
    published: Collection, nightrank: Command, command: tuple[str, ...]
) -> None:
    ended = nightrank(*command, "-c", published.settings_file, "--json")

    assert ended.code == 0, ended.err
    assert set(ended.json) <= documented()[command[0]]
