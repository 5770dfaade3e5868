"""The documentation says what is true of the code: its links, paths, settings, commands and imports."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import shlex
import tomllib
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from docs.generate import pages
from nightrank.flows.cli.app import app
from nightrank.storage.filters.language import parse_filter
from nightrank.tasks.settings.whole import Settings
from tests.docs.pages import DOCS, PAGES, ROOT, Code, anchors_of, code_in, links_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cyclopts import App

MOST_LINES, WIDEST = 250, 120
FOLDERS = "benchmarks|deployments|docs|examples|flows|nightrank|recipes|storage|tasks|tests"
REQUIRED = {"documents": {"source": "docs"}, "queries": {"log": "queries.jsonl"}}


def ids(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_pages_are_short_and_their_lines_too(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > WIDEST] == []
    if page.is_relative_to(DOCS) and page.relative_to(DOCS).as_posix() not in pages():
        assert len(lines) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    broken = []
    for link in links_of(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_navigation_once() -> None:
    def files(entries: list[dict[str, Any]]) -> Iterator[str]:
        for entry in entries:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else files(value)

    navigation = list(files(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    assert sorted(navigation) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_every_path_in_the_pages_is_there() -> None:
    named = [
        (ids(code.page), path)
        for code in code_in(PAGES, None)
        for path in re.findall(rf"(?:^|\s)((?:{FOLDERS})/[\w./-]*)", code.text)
        if not path.endswith(("-", "int8"))
    ]
    assert len(named) > 20
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []


def blocks_of_settings() -> list[Code]:
    return list(code_in(PAGES, "toml"))


@pytest.mark.parametrize("block", blocks_of_settings(), ids=lambda block: ids(block.page))
def test_every_example_of_settings_is_accepted(block: Code) -> None:
    given = tomllib.loads(block.text)
    Settings.model_validate_json(json.dumps({**REQUIRED, **given}))


def test_every_setting_that_the_pages_name_is_there() -> None:
    written = [page for page in PAGES if ids(page).removeprefix("docs/") not in pages()]
    named = {
        (ids(code.page), section, key)
        for code in code_in(written, None)
        for section, key in re.findall(r"\[([a-z_.]+)\]\.(\w+)", code.text)
    }
    grids = {
        (ids(code.page), *key.rsplit(".", 1))
        for code in code_in(written, None, "sh")
        for key in re.findall(r"--grid ([a-z_.]+)=", code.text)
    }
    assert len(named) > 10
    assert [one for one in named | grids if one[2] not in keys_of(one[1])] == []


def keys_of(section: str) -> set[str]:
    model: Any = Settings
    for name in section.split("."):
        model = model.model_fields[name].annotation
    return set(model.model_fields)


def commands() -> list[tuple[str, list[str]]]:
    """Every ``nightrank ...`` of the pages, with the page that has it, as a shell would split it."""
    return [
        (ids(code.page), shlex.split(line, comments=True)[1:])
        for code in code_in(PAGES, None, "sh")
        for line in code.text.splitlines()
        if line.startswith("nightrank ")
    ]


def test_every_command_that_the_pages_show_is_there_with_its_options() -> None:
    shown = commands()
    assert len(shown) > 30
    unknown = [
        f"{page}: nightrank {' '.join(words)}: {word}" for page, words in shown for word in unknown_words(app, words)
    ]
    assert unknown == []


def unknown_words(command: App, words: list[str]) -> list[str]:
    """The commands and options among some words that an application does not have."""
    names = set(command)
    if not words or words[0].startswith("-") or words[0].isupper():
        wanted = {"--help"} | names
        return [word for word in words if word.startswith("-") and word not in wanted]
    if words[0] not in names:
        return [words[0]]
    inner = command[words[0]]
    if inner.default_command is None:
        return unknown_words(inner, words[1:])
    options = {name for argument in inner.assemble_argument_collection() for name in argument.names}
    return [word for word in words[1:] if word.startswith("-") and word not in options | {"--help"}]


def test_every_command_is_told_of_somewhere_else_than_in_the_reference() -> None:
    named = {words[0] for page, words in commands() if page != "docs/reference/commands.md" and words}
    assert {name for name in app if not name.startswith("-")} <= named


def test_every_program_and_every_target_of_make_is_there() -> None:
    for code in code_in(PAGES, None, "sh"):
        for module in re.findall(r"python -m ([\w.]+\w)", code.text):
            if module != "benchmarks":
                assert find_spec(module) is not None, (ids(code.page), module)
        for target in re.findall(r"^make ([a-z-]+)", code.text, re.MULTILINE):
            assert f"\n{target}:" in (ROOT / "Makefile").read_text(), (ids(code.page), target)


@pytest.mark.parametrize("block", list(code_in(PAGES, "python")), ids=lambda block: ids(block.page))
def test_every_python_example_compiles_and_what_it_imports_is_there(block: Code) -> None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            assert all(hasattr(import_module(node.module), name.name) for name in node.names)


def test_every_filter_in_the_page_of_filters_is_one() -> None:
    page = DOCS / "how-to" / "filters.md"
    filters = [code.text for code in code_in([page], None) if code.text.startswith("{") and "query" not in code.text]
    assert len(filters) > 8
    for text in filters:
        assert parse_filter(json.loads(text)) is not None, text


def test_what_a_failure_says_is_what_the_code_says() -> None:
    said = [os.strerror(number) for number in errno.errorcode]
    for folder in ("storage", "tasks", "flows"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            said += [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    known = "\0".join(said)
    page = " ".join((DOCS / "reference" / "failures.md").read_text("utf-8").split())
    quoted = [found for found in re.findall(r"`([^`]+)`", page) if "…" in found]
    pieces = [piece.strip(" .,:;()") for line in quoted for piece in line.split("…")]
    assert len(quoted) > 25
    assert [piece for piece in pieces if piece not in known] == []
