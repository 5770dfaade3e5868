"""A file that is read as text, and whom to tell what it is."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.text.encoding import UTF_8, form_of, head_of, opened_as

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.tasks.read.account import Account, Part
    from nightrank.tasks.read.text.encoding import Form


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the inputs.

    Attributes:
        path: Where it is; unpacked where its name says that it is packed.
        name: What the user calls it.
        part: Of the inputs that it belongs to.
        account: Told what was taken for what.
        encoding: What the settings say that it is written in.
    """

    path: Path
    name: str
    part: Part
    account: Account
    encoding: str = UTF_8

    def tell(self, kind: Kind, what: str, *, row: int | None = None, count: int = 1) -> None:
        """Tell the account something of the file, or of a row of it."""
        where = self.name if row is None else f"{self.name}, row {row}"
        self.account.add(self.part, kind, what, where=where, count=count)

    def form(self) -> Form:
        """How it is written; nobody is told.

        Raises:
            InputError: It cannot be read.
        """
        return form_of(head_of(self.path, name=self.name), encoding=self.encoding)

    @contextmanager
    def opened(self) -> Iterator[io.BufferedIOBase]:
        """Its bytes as UTF-8, without a mark, with LF or CR LF as line ends; the account is told what it is written in.

        Raises:
            InputError: It cannot be read.
        """
        form = self.form()
        self.tell(Kind.ENCODING, form.told)
        with opened_as(self.path, form, name=self.name) as file:
            yield file
