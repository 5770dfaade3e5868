"""Which files of a folder belong to a source: patterns as ``.gitignore`` has them, and files named for other things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.tasks.settings.inputs import DocumentsSettings

NOT_INCLUDED = "not in [documents].include"


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a folder is left out, and why.

    Attributes:
        include: Patterns of which a file must match one; None where any file may be read.
        exclude: Patterns of files and folders that are left out.
        patterns: Those of ``exclude``, as the settings write them.
        named: Keys of the settings, by the resolved path of the file or folder that they name.
    """

    include: GitIgnoreSpec | None
    exclude: GitIgnoreSpec
    patterns: Sequence[str]
    named: Mapping[Path, str]

    @classmethod
    def of(cls, settings: DocumentsSettings, named: Mapping[Path, str]) -> Selection:
        """The selection that settings describe.

        Raises:
            InputError: A pattern is none.
        """
        include = _spec(settings.include, key="include") if settings.include else None
        return cls(include, _spec(settings.exclude, key="exclude"), settings.exclude, named)

    def why_not(self, relative: str, resolved: Path, *, is_folder: bool) -> str | None:
        """Why a file or folder is left out; None where it is not.

        Args:
            relative: Its path below the source's folder, with ``/``.
            resolved: Where it is, links followed.
            is_folder: Whether it is one; of a folder only what holds for all that is in it is asked.
        """
        if (key := self.named.get(resolved)) is not None:
            return key
        found = self.exclude.check_file(f"{relative}/" if is_folder else relative)
        if found.include and found.index is not None:
            return self.patterns[found.index]
        if self.include is not None and not is_folder and not self.include.match_file(relative):
            return NOT_INCLUDED
        return None


def _spec(patterns: Sequence[str], *, key: str) -> GitIgnoreSpec:
    for pattern in patterns:
        try:
            GitIgnoreSpec.from_lines([pattern])
        except ValueError as error:
            raise InputError(
                f"[documents].{key}: {pattern!r} is no pattern of .gitignore.",
                remedy='Write patterns such as "node_modules/", "*.csv" or "!keep.csv".',
            ) from error
    return GitIgnoreSpec.from_lines(patterns)
