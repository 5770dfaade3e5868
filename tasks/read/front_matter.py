"""The YAML block at the head of a Markdown page: found, parsed safely, and returned as JSON values.

libyaml's parser is used where PyYAML has it. Its composer recurses without a limit, and a deeply nested block ends
the process; aliases let a few lines stand for billions of values. So the events are looked at first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from nightrank.tasks.read.values import MAX_LEVELS, json_value, kind

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue

FENCE = "---"
CLOSING_FENCE = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)


def split_front_matter(text: str) -> tuple[dict[str, JsonValue], str]:
    r"""The front matter of a page and the text below it.

    A page has front matter when its first line is ``---``; it ends at the next line ``---`` or ``...``.

    Args:
        text: The page, with ``\n`` as line ends.

    Returns:
        The block's fields, dates as ISO 8601 texts (empty without a block), and the text below it.

    Raises:
        ValueError: The block is never closed, is broken YAML or no mapping, uses aliases, or holds a value that is
            no JSON value, such as NaN.

    >>> split_front_matter("---\ntitle: Guide\ndate: 2024-06-03\n---\n# Guide\n")
    ({'title': 'Guide', 'date': '2024-06-03'}, '# Guide\n')
    """
    first, _, rest = text.partition("\n")
    if first.rstrip() != FENCE:
        return {}, text
    if closing := CLOSING_FENCE.search(rest):
        return _parsed(rest[: closing.start()]), rest[closing.end() :].removeprefix("\n")
    raise ValueError("front matter is opened by --- in line 1 and never closed")


def _parsed(block: str) -> dict[str, JsonValue]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_events(block, loader)
        value = yaml.load(block, Loader=loader)  # noqa: S506  # one of PyYAML's two safe loaders
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 2}" if error.problem_mark else ""
        raise ValueError(f"front matter is broken YAML: {error.problem or error.context}{line}") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        # PyYAML's constructors let through whatever int(), date() or a failed match raise.
        raise ValueError(f"front matter is broken YAML: {str(error).splitlines()[0]}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"front matter is {kind(value)}, not a mapping")
    try:
        fields = json_value(value)
    except ValueError as error:
        raise ValueError(f"front matter: {error}") from None
    assert isinstance(fields, dict)
    return fields


def _check_events(block: str, loader: type[yaml.SafeLoader]) -> None:
    levels = 0
    for event in yaml.parse(block, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"the alias *{event.anchor}; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            levels -= 1
        if levels > MAX_LEVELS:
            raise ValueError(f"nested deeper than {MAX_LEVELS} levels")
