"""Write the pages of the reference that the code itself knows: ``python docs/generate.py``.

Settings come from their pydantic sections, commands from the command line's own application, the files of a release
from the class that owns their names. What is written is committed, and a test fails where a page is not what this
program would write.
"""

from __future__ import annotations

import re
import sys
import textwrap
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from cyclopts import App

from nightrank.flows.cli.app import GROUPS, app
from nightrank.storage.release.files import FileReference, ReleaseFiles, TableReference
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclopts.argument import Argument

DOCS = Path(__file__).parent
WIDTH = 120
NOTE = "<!-- Written by `python docs/generate.py`; not by hand. -->"
COMMON = ("--config", "--json")  # described once, at the head of the page

Schema = dict[str, Any]


def pages() -> dict[str, str]:
    """Every generated page by its path below ``docs/``."""
    return {
        "reference/commands.md": commands_page(),
        "reference/release-files.md": release_files_page(),
        "reference/settings.md": settings_page(),
    }


# Commands.


def commands_page() -> str:
    """The page of all commands, in the order and the groups of ``nightrank --help``."""
    blocks = ["# Command line", NOTE]
    blocks.append(
        wrapped(
            "Every command but `init` and `demo` takes `-c FILE` (`--config`): the settings file; without it "
            "`nightrank.toml` in the working directory, else `nightrank-demo/nightrank.toml`. With `--json` a command "
            "writes one JSON object on standard output and nothing else ([what is in it](json.md)). "
            "`nightrank COMMAND --help` shows the same as this page."
        )
    )
    blocks.append(
        "| exit code | means |\n|---|---|\n| 0 | done, or nothing to do |\n| 1 | a fault of ours or of the machine |\n"
        "| 2 | the input |\n| 3 | a gate refused the release, or a trained model was not promoted |"
    )
    for title, members in GROUPS:
        blocks.append(f"## {title}")
        for member in members:
            name = member.name[0] if isinstance(member, App) else member.__name__
            command = app[name]
            if command.default_command is None:
                blocks.append(wrapped(f"`nightrank {name}`: {command.help}"))
                for inner in (inner for inner in command if not inner.startswith("-")):
                    blocks += command_blocks(f"{name} {inner}", command[inner])
            else:
                blocks += command_blocks(name, command)
    return "\n\n".join(blocks) + "\n"


def command_blocks(name: str, command: App) -> Iterator[str]:
    """Heading, usage, what it does, and its options."""
    yield f"### nightrank {name}"
    arguments = [argument for argument in command.assemble_argument_collection() if argument.show]
    positional = [argument for argument in arguments if is_positional(argument)]
    options = [argument for argument in arguments if not is_positional(argument)]
    shown = [place_of(argument) if argument.required else f"[{place_of(argument)}]" for argument in positional]
    yield "```text\n" + " ".join(["nightrank", name, *shown, *(["[OPTIONS]"] if options else [])]) + "\n```"
    yield "\n\n".join(wrapped(paragraph) for paragraph in command.help.split("\n\n"))
    listed = [argument_line(argument) for argument in positional]
    listed += [argument_line(option) for option in options if option.name not in COMMON]
    if listed:
        yield "\n".join(listed)


def argument_line(argument: Argument) -> str:
    """One argument: its names, what it takes, what it means, its default."""
    names = place_of(argument) if is_positional(argument) else ", ".join(sorted(argument.names, key=len))
    takes = "" if is_positional(argument) or argument.is_flag() else f" {value_name(argument)}"
    meaning = without_tags((argument.parameter.help or "").strip())
    choices = argument.get_choices() or ()
    told = [f"One of {', '.join(f'`{choice}`' for choice in choices)}."] if choices else []
    if argument.required and not is_positional(argument):
        told.append("Required.")
    default = argument.field_info.default
    if isinstance(default, int | float | str | Path) and not isinstance(default, bool):
        told.append(f"Default: `{default}`.")
    return wrapped(f"- `{names}{takes}`: {' '.join([meaning, *told])}", indent="  ")


def is_positional(argument: Argument) -> bool:
    """Whether an argument is given by its place."""
    return argument.index is not None


def place_of(argument: Argument) -> str:
    """What stands for an argument that is given by its place."""
    return argument.name.lstrip("-").replace("-", "_").upper()


def value_name(argument: Argument) -> str:
    """What stands for an option's value."""
    hints = {argument.hint, *typing.get_args(argument.hint)}
    if argument.get_choices():
        return "NAME"
    for kind, name in ((Path, "PATH"), (int, "N"), (float, "X")):
        if kind in hints:
            return name
    return "TEXT"


# Settings.


def settings_page() -> str:
    """The page of all settings, a section a heading, in the order of the settings file."""
    schema = Settings.model_json_schema()
    blocks = ["# Settings", NOTE]
    blocks.append(
        wrapped(
            "A settings file is TOML. Every key but `[documents].source` has a default. Unknown "
            "keys are errors. Paths are relative to the settings file. What decides the outcome is part of a release's "
            "fingerprint; where, when and how it is watched and kept is not: "
            f"{', '.join(f'`{name}`' for name in outside_fingerprint())}."
        )
    )
    top = [name for name, value in schema["properties"].items() if section_of(value, schema) is None]
    blocks.append("## At the top of the file")
    blocks.append("\n".join(key_line(name, schema["properties"][name], schema, required=()) for name in top))
    for name, value in schema["properties"].items():
        section = section_of(value, schema)
        if section is not None:
            blocks += section_blocks(name, section, schema)
    return "\n\n".join(blocks) + "\n"


def outside_fingerprint() -> list[str]:
    """What of the top of a settings file is in no fingerprint, as it is written there."""
    written = {"documents": {"source": "docs"}, "near": {"tiers": ["same_answer"]}}
    example = Settings.model_validate(written)
    missing = [name for name in Settings.model_fields if name not in example.what()]
    sections = Settings.model_json_schema()["properties"]
    return [name if sections[name].get("type") == "string" else f"[{name}]" for name in missing]


def section_blocks(name: str, section: Schema, schema: Schema) -> Iterator[str]:
    """Heading, what the section is for, its keys; then the sections in it."""
    yield f"## [{name}]"
    about = section.get("description", "").split("\n\n")[0].split(": ", 1)[-1]
    if about:
        yield wrapped(about[0].upper() + about[1:])
    properties = section["properties"]
    inner = {key: found for key, value in properties.items() if (found := section_of(value, schema)) is not None}
    required = section.get("required", ())
    yield "\n".join(
        key_line(key, value, schema, required=required) for key, value in properties.items() if key not in inner
    )
    for key, found in inner.items():
        yield from section_blocks(f"{name}.{key}", found, schema)


def section_of(value: Schema, schema: Schema) -> Schema | None:
    """The section that a property is; None where it is a key."""
    reference = value.get("$ref") or next((part["$ref"] for part in value.get("allOf", ()) if "$ref" in part), None)
    if reference is None:
        return None
    found: Schema = schema["$defs"][reference.rsplit("/", 1)[-1]]
    return found if "properties" in found else None


def key_line(key: str, value: Schema, schema: Schema, *, required: typing.Iterable[str]) -> str:
    """One key: what it takes, its default, what it means."""
    takes = type_of(value, schema)
    if key in required:
        takes += ", **required**"
    elif value.get("default") is not None:
        takes += f", default `{as_toml(value['default'])}`"
    head = f"- **`{key}`**: {takes}"
    meaning = textwrap.fill(
        without_tags(value.get("description", "")),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{wrapped(head, indent='  ')}<br>\n{meaning}"


def type_of(value: Schema, schema: Schema) -> str:
    """What a key takes, in words.

    >>> type_of({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, {})
    'integer, at least 1'
    >>> type_of({"enum": ["rrf", "minmax"]}, {})
    '`"rrf"` or `"minmax"`'
    >>> type_of({"anyOf": [{"type": "number", "exclusiveMinimum": 0.0, "maximum": 1.0}, {"const": "none"}]}, {})
    'number, above 0 and at most 1; or `"none"`'
    """
    if "$ref" in value:
        return type_of(schema["$defs"][value["$ref"].rsplit("/", 1)[-1]], schema)
    if "anyOf" in value:
        parts = [type_of(part, schema) for part in value["anyOf"] if part.get("type") != "null"]
        return "; or ".join(parts)
    if "const" in value:
        return f"`{as_toml(value['const'])}`"
    if "enum" in value:
        *others, last = [f"`{as_toml(choice)}`" for choice in value["enum"]]
        return f"{', '.join(others)} or {last}" if others else last
    if value.get("type") == "array":
        items = value.get("items", {})
        plural = "" if "enum" in items else "s"
        return f"list of {type_of(items, schema)}{plural}" if items.get("type") in {"string", "integer"} else "list"
    names = {"string": "text", "integer": "integer", "number": "number", "boolean": "`true` or `false`"}
    return ", ".join(part for part in (names[value["type"]], bounds_of(value)) if part)


def bounds_of(value: Schema) -> str:
    """The bounds of a number, in words."""
    low, above = value.get("minimum"), value.get("exclusiveMinimum")
    high, below = value.get("maximum"), value.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{number(low)} to {number(high)}"
    told = [("at least", low), ("above", above), ("at most", high), ("below", below)]
    return " and ".join(f"{word} {number(bound)}" for word, bound in told if bound is not None)


def number(value: float) -> str:
    """A bound as people read it.

    >>> number(100000), number(0.0), number(1e9)
    ('100,000', '0', '1,000,000,000')
    """
    return f"{value:,.10g}" if abs(value) < 1e10 else f"{value:g}"


def without_tags(text: str) -> str:
    """A text in which ``<`` outside of code begins no tag.

    >>> without_tags('"ir_datasets:<id>", `a<b>`')
    '"ir_datasets:&lt;id>", `a<b>`'
    """
    parts = text.split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def as_toml(value: object) -> str:
    """A value as it is written in a settings file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


# Files of a release.

WORKSPACE = """\
```text
workspace/
  current.json           which release is live; the one file that is replaced
  lance/                 chunks and vectors, one table an embedder, addressed by content; a tag a release
  memo/                  pair scores, one file a reranker; embeddings of queries, one file an embedder; sparse vectors
                         of texts and of queries, two files an encoder
  retracted.json         documents that were taken down, and which answers are others since; written anew as a whole
  retracted/             these answers, a small SQLite file as results.sqlite
  models/                trained models, and promoted.json: which of them stand in for the settings' own
  releases/<id>/         the files below; they never change once manifest.json is there
```"""

# What a file is, where its kind alone does not say it.
OF_WHAT = {
    "manifest": "What the release says of itself: settings, counts, models, measures, gates, digests of all files.",
    "measured_again": "Of the release that was live before, by today's judgments.",
    "comparison": "This release against the one that was live.",
    "diversity": "Diverse results against the final order; only where results are diversified.",
    "single_stages": "Each single stage (after) against the final order (before).",
}


def release_files_page() -> str:
    """The page of a workspace's folders and a release's files, each table with its columns."""
    blocks = ["# Files of a release", NOTE, "A workspace is a folder, or an address in an object store:", WORKSPACE]
    blocks.append(
        wrapped(
            "A release holds these files; those that need judgments, a log with days or an earlier release are there "
            "where these are. Tables are Parquet: any tool reads them, and `examples/read_with_duckdb.py` shows how. A "
            "type with `?` may be null."
        )
    )
    for attribute, file in files_of_a_release():
        blocks.append(f"## {file.path.name}")
        kind = "" if type(file) is FileReference else (type(file).__doc__ or "").partition("\n\n")[0]
        blocks.append(wrapped(f"{in_pages(kind)} {OF_WHAT.get(attribute, '')}"))
        if isinstance(file, TableReference):
            columns = [f"`{field.name}` {type_of_column(field)}" for field in file.schema]
            blocks.append(wrapped(f"Columns: {', '.join(columns)}."))
    return "\n\n".join(blocks) + "\n"


def files_of_a_release() -> Iterator[tuple[str, FileReference]]:
    """Every file that a release of today has, by the attribute that names it."""
    layout = ReleaseFiles(Path())
    for attribute in vars(ReleaseFiles):
        if attribute.startswith("_") or attribute == "former_results":
            continue
        if isinstance(file := getattr(layout, attribute), FileReference):
            yield attribute, file


def type_of_column(field: pa.Field) -> str:
    """The type of a column, in short.

    >>> type_of_column(pa.field("aliases", pa.list_(pa.string()))), type_of_column(pa.field("n", pa.int32(), False))
    ('list of string?', 'int32')
    """
    kind = f"list of {field.type.value_type}" if pa.types.is_list(field.type) else str(field.type)
    return f"{kind}{'?' if field.nullable else ''}"


def in_pages(text: str) -> str:
    """A docstring's text as pages have it: modules as the paths of their files.

    >>> in_pages("As ``storage.bm25`` has them, and ``storage.records``.")
    'As `storage/bm25` has them, and `storage/records.py`.'
    """

    def path_of(code: re.Match[str]) -> str:
        path = code[1].replace(".", "/")
        return f"`{path}.py`" if (DOCS.parent / f"{path}.py").is_file() else f"`{path}`"

    return re.sub(r"``([^`]+)``", path_of, text)


def wrapped(text: str, *, indent: str = "") -> str:
    """A paragraph in lines of at most WIDTH characters."""
    return textwrap.fill(
        " ".join(text.split()), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
