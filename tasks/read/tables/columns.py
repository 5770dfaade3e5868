"""What the columns of a table are taken for: by the settings, by their documented names, or by a usual name.

A guess is never silent: what was taken for what is counted (`tasks.read.tables.usage`) and told. Where two columns are
equally good for a role, nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.characters import visible
from nightrank.storage.errors import InputError
from nightrank.tasks.read.values import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.tasks.read.account import Part

NONE = "none"
"""In the settings: no column has this role."""
MAX_KNOWN_HEADERS = 10_000
UNNAMED = re.compile(r"(unnamed:\d+.*|_indexlevel\d+)?")
DECORATED = re.compile(r"^(?:_source\.|top(?: \d+)? values of )|(?:\.keyword)?: ?(?:de|a)scending$|\.keyword$")
"""What Elasticsearch and Kibana put around the names of fields."""
SEPARATORS = re.compile(r"[\s\-_.]+")


class Role(NamedTuple):
    """What a column may be taken for.

    Attributes:
        name: As the settings call it.
        names: Of columns that have it without a guess, the first the best.
        usual: Other names that it is guessed from, the first the best.
    """

    name: str
    names: tuple[str, ...]
    usual: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The roles of one kind of table.

    Attributes:
        part: Of the inputs.
        section: Of the settings, where columns may be named.
        roles: All of them.
        required: One role of each group must have a column.
    """

    part: Part
    section: str
    roles: tuple[Role, ...]
    required: tuple[tuple[str, ...], ...]


class Taken(NamedTuple):
    """What the columns of a header, or of a row of JSONL, are taken for.

    Attributes:
        columns: By role, the best first; a role without a column is left out.
        guessed: Columns that are known by a usual name alone.
        rest: Columns with a name and no role, in their order.
        unnamed: Columns without a name.
    """

    columns: Mapping[str, tuple[str, ...]]
    guessed: frozenset[str]
    rest: tuple[str, ...]
    unnamed: tuple[str, ...]


@dataclass(slots=True)
class Columns:
    """A vocabulary, and what the settings say of it.

    Attributes:
        vocabulary: It.
        chosen: The column of each role that the settings name; ``none`` for no column.
    """

    vocabulary: Vocabulary
    chosen: Mapping[str, str]
    _known: dict[tuple[str, ...], Taken] = field(default_factory=dict)

    def taken(self, found: Sequence[str]) -> Taken:
        """What columns are taken for.

        Raises:
            ValueError: Two columns are equally good for a role, as their names differ by case alone.

        >>> from nightrank.tasks.read.tables.names import DOCUMENTS
        >>> Columns(DOCUMENTS, {}).taken(["ID", "Body", "price", ""]).columns
        {'id': ('ID',), 'text': ('Body',)}
        """
        key = tuple(found)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_KNOWN_HEADERS:
                self._known.clear()
            known = self._known[key] = self._taken(key)
        return known

    def understands(self, found: Sequence[str]) -> bool:
        """Whether every role that must have a column has one."""
        try:
            taken = self.taken(found).columns
        except ValueError:
            return True  # its fault is another one
        return all(any(role in taken for role in group) for group in self.vocabulary.required)

    def has_named(self, role: str, found: Sequence[str]) -> bool:
        """Whether a column has a role without a guess."""
        taken = self.taken(found)
        return any(column not in taken.guessed for column in taken.columns.get(role, ()))

    def recognised(self, found: Sequence[str]) -> int:
        """How many roles have a column; 0 where it cannot be said which."""
        try:
            return len(self.taken(found).columns)
        except ValueError:
            return 0

    def require(
        self, found: Sequence[str], *, name: str, quoted: bool = True, of_choice: bool = True, hint: str = ""
    ) -> None:
        """Check the columns of a table.

        Args:
            found: Their names.
            name: What the user calls the table.
            quoted: Whether names may be quoted, which in a log without a header are somebody's query.
            of_choice: Whether each column that the settings name must be there, too; of objects later rows may have it.
            hint: What else is known of the cause, as a remedy; empty for nothing.

        Raises:
            InputError: A required role has no column, a column that the settings name is not there, or two columns
                are equally good.
        """
        section = self.vocabulary.section
        seen = shown(", ".join(found), most=200) if quoted else _counted(len(found))
        try:
            taken = self.taken(found)
        except ValueError as error:
            raise InputError(f"{name}: {error}.", remedy=f"Say which in {section}.columns, or rename one.") from None
        for role, column in self.chosen.items():
            if of_choice and column != NONE and role not in taken.columns:
                raise self._missing(role, column, f"{name} has no column", f"; found {seen}")
        for group in self.vocabulary.required:
            if not any(role in taken.columns for role in group):
                expected = " or ".join(self._names(group))
                what = "id" if group == ("id",) else " or ".join(group).replace("_", " ")
                raise InputError(
                    f"{name} has no {what} column: expected {expected}, or another usual name; found {seen}.",
                    remedy=hint or f'Name it in {section}.columns: {group[-1]} = "...", or name the right file.',
                )

    def require_met(self, *, name: str) -> None:
        """Check, behind the last row of a table of objects, that one had each column that the settings name.

        Args:
            name: What the user calls the table.

        Raises:
            InputError: None had.
        """
        for role, column in self.chosen.items():
            if column != NONE and self._known and not any(role in taken.columns for taken in self._known.values()):
                raise self._missing(role, column, f"No row of {name} has a column", "")

    def _missing(self, role: str, column: str, where: str, seen: str) -> InputError:
        named = f'{self.vocabulary.section}.columns names as "{role}"'
        return InputError(f"{where} {shown(column)}, which {named}{seen}.", remedy="Correct the setting, or the table.")

    def _names(self, group: Sequence[str]) -> list[str]:
        return [name for role in self.vocabulary.roles if role.name in group for name in role.names]

    def _taken(self, found: tuple[str, ...]) -> Taken:
        unnamed = {column: None for column in found if UNNAMED.fullmatch(column_key(column))}
        free = [column for column in found if column not in unnamed]
        columns: dict[str, tuple[str, ...]] = {}
        for chosen_role, wanted in self.chosen.items():
            if chosen := _called(wanted, free):
                columns[chosen_role] = (chosen,)
                free.remove(chosen)
        guessed: set[str] = set()
        for role in self.vocabulary.roles:
            if role.name in self.chosen:
                continue
            candidates = _candidates(role, free)
            if candidates:
                columns[role.name] = tuple(candidates)
                known = {column_key(name) for name in role.names}
                guessed.update(column for column in candidates if column_key(column) not in known)
        first = {taken[0] for taken in columns.values()}
        rest = tuple(column for column in found if column not in first and column not in unnamed)
        return Taken(columns, frozenset(guessed), rest, tuple(column for column in found if column in unnamed))


def column_key(name: str) -> str:
    """A name of a column as it is compared: without case, blanks, hyphens and underscores but for a leading one.

    >>> column_key(" Doc-ID "), column_key("_id"), column_key("query.keyword: Descending")
    ('docid', '_id', 'query')
    """
    plain = visible(unicodedata.normalize("NFKC", name)).strip().casefold()
    plain = DECORATED.sub("", plain)
    return ("_" if plain.startswith("_") else "") + SEPARATORS.sub("", plain)


def _called(wanted: str, columns: Sequence[str]) -> str | None:
    """The column of that name; one whose case differs where there is none."""
    if wanted in columns:
        return wanted
    alike = [column for column in columns if column_key(column) == column_key(wanted)]
    return alike[0] if len(alike) == 1 and wanted != NONE else None


def _candidates(role: Role, columns: Sequence[str]) -> list[str]:
    """The columns that may have a role, the best first."""
    by_key: dict[str, list[str]] = {}
    for column in columns:
        by_key.setdefault(column_key(column), []).append(column)
    candidates: list[str] = []
    for name in (*role.names, *role.usual):
        alike = by_key.pop(column_key(name), [])
        exact = [column for column in alike if column.strip() == name]
        if len(alike) > 1 and not exact and not candidates:
            raise ValueError(
                f"the columns {shown(alike[0])} and {shown(alike[1])} could both be the {role.name.replace('_', ' ')}"
            )
        candidates += exact or (alike if len(alike) == 1 else [])
    return candidates


def _counted(number: int) -> str:
    return "1 column" if number == 1 else f"{number} columns"
