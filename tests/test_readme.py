"""The README and the code say the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard, get_args

from nightrank.flows.cli.app import app
from nightrank.tasks.settings.file import Settings
from nightrank.tasks.settings.section import Section

README = Path(__file__).parent.parent / "README.md"


def settings_table() -> str:
    """The README's table of settings, from the settings' own descriptions."""
    lines = ["| key | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if _is_section(section):
            lines += _section_lines(name, section)
        else:
            lines.append(_line(name, field.is_required(), field.default, field.description))
    return "\n".join(lines)


def test_every_setting_is_in_the_readme_as_the_code_describes_it() -> None:
    found = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", README.read_text(), re.DOTALL)

    assert found is not None
    assert found.group(1) == settings_table()


def test_every_command_is_in_the_readme() -> None:
    commands = [name for name in app if not name.startswith("-")]

    assert commands
    for command in commands:
        assert f"`nightrank {command}" in README.read_text()


def test_every_file_that_the_readme_names_is_there() -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", README.read_text())

    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_every_section_of_settings_is_described() -> None:
    for field in Settings.model_fields.values():
        kinds = (field.annotation, *get_args(field.annotation))
        section = next((kind for kind in kinds if isinstance(kind, type)), str)
        if issubclass(section, Section):
            assert all(inner.description or _is_section(inner.annotation) for inner in section.model_fields.values())


def _is_section(annotation: object) -> TypeGuard[type[Section]]:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _section_lines(name: str, section: type[Section]) -> Iterator[str]:
    for key, field in section.model_fields.items():
        if _is_section(field.annotation):
            yield from _section_lines(f"{name}.{key}", field.annotation)
        else:
            yield _line(f"[{name}].{key}", field.is_required(), field.default, field.description)


def _line(name: str, required: bool, default: object, description: str | None) -> str:
    shown = "**required**" if required else "" if default is None else f"`{_as_toml(default)}`"
    return f"| `{name}` | {shown} | {(description or '').replace('|', chr(92) + '|')} |"


def _as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
