"""Documents that were taken down: which they are, and what a release answers without them.

A release never changes, and it cannot be made anew at once: a night holds the workspace for hours. So what was taken
down is said beside the releases, in one small file, ``retracted.json``, which is replaced in one step:

    {"documents": {"<id>": {"at": "...", "by": "...", "reason": "..."}},
     "releases": {"<release id>": {"file": "<name>.sqlite", "sha256": "...", "queries": 12}}}

For a release that readers see it names a file in ``retracted/``, a results file with the answers of those queries alone
that the documents stood in, cut again from the candidates behind; it is whole before the list names it. Whoever moves
the pointer has the list speak of the release first, and does both while it holds the list. Readers ask for the pointer,
then for the list. So they get what was before, or all of what is now. Where the list does not speak of a release (one
that was put there by hand, or by a version that knew of no list), its answers come without the documents and shorter:
what goes wrong shows too little, never what was taken down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from nightrank.storage.errors import MachineError
from nightrank.storage.keys import digest_of_bytes

if TYPE_CHECKING:
    from nightrank.storage.workspace.base import Workspace

LIST = "retracted.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.sqlite")


class Retraction(msgspec.Struct, frozen=True):
    """That a document was taken down.

    Attributes:
        at: When, ISO 8601.
        by: The login name of whoever did.
        reason: In their words; may be empty.
    """

    at: str
    by: str
    reason: str = ""


class Replaced(msgspec.Struct, frozen=True):
    """What a release answers instead of what it holds.

    Attributes:
        file: Of the replaced answers, in ``ANSWERS``; None where none of its answers has a listed document.
        sha256: Of that file; empty without one.
        queries: How many answers it replaces.
    """

    file: str | None = None
    sha256: str = ""
    queries: int = 0


class Retracted(msgspec.Struct, frozen=True):
    """The list.

    Attributes:
        documents: What was taken down, by document id.
        releases: What readers get, by release id; of a release that is not there nobody has looked.
        state: A digest of the list as it was read: another one, another list; empty without one.
    """

    documents: dict[str, Retraction] = {}
    releases: dict[str, Replaced] = {}
    state: str = ""

    def to_json(self) -> str:
        """As it is stored."""
        stored = {"documents": self.documents, "releases": self.releases}
        return msgspec.json.format(msgspec.json.encode(stored), indent=2).decode() + "\n"


NOTHING = Retracted()


def read_retracted(workspace: Workspace) -> Retracted:
    """The list as it is now; whoever reads a release asks for it after the pointer.

    Raises:
        MachineError: It cannot be read; what was taken down is not known then, so nothing is shown.
    """
    return decode_retracted(workspace.read(LIST), where=f"{workspace}/{LIST}")


def decode_retracted(stored: bytes | None, *, where: str) -> Retracted:
    """A list as it was stored; of None the empty one.

    Raises:
        MachineError: It is none.
    """
    if stored is None:
        return NOTHING
    try:
        found = msgspec.json.decode(stored, type=Retracted)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"{where} is not a list of documents that were taken down: {error}."
        raise MachineError(message, remedy="Restore it: without it nobody knows what must not be shown.") from error
    for replaced in found.releases.values():
        if replaced.file is not None and _NAME.fullmatch(replaced.file) is None:
            message = f"{where} names {replaced.file!r}, which is no file of replaced answers."
            raise MachineError(message, remedy="Restore it: without it nobody knows what must not be shown.")
    return msgspec.structs.replace(found, state=digest_of_bytes(stored))
