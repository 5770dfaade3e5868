"""Names that a page gives to texts, put in their places: a few lines that name one another stand for gigabytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re


@dataclass(slots=True)
class Substitutions:
    r"""What stands for what in a page.

    Attributes:
        room: Characters by which the page may still grow; a name that would take more stays as it is written.
        values: By name; a name without a value stays as it is written.

    >>> import re
    >>> named = Substitutions(room=10, values={"tool": "Nightrank"})
    >>> re.sub(r"[{](\w+)[}]", named.shown, "{tool} {tool} {tool} {tool} {other}")
    'Nightrank Nightrank Nightrank {tool} {other}'
    """

    room: int
    values: dict[str, str] = field(default_factory=dict)

    def shown(self, found: re.Match[str]) -> str:
        """What is put in the place of a match whose first group is a name."""
        value = self.values.get(found[1])
        growth = len(value) - len(found[0]) if value else 0
        if not value or growth > self.room:
            return found[0]
        self.room -= max(0, growth)
        return value
