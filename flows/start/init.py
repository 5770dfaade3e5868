"""``nightrank init``: what is here is looked at, somebody who can answer is asked, and settings are written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from nightrank.flows.settings_file import DEFAULT_FILES
from nightrank.flows.start.find import as_source, find_source, possible_judgments, possible_logs
from nightrank.flows.start.look import see_documents, see_judgments, see_log
from nightrank.flows.start.propose import Seen, is_foreign, settings_for, told_languages
from nightrank.flows.start.write import as_toml, write_settings
from nightrank.storage.errors import InputError
from nightrank.tasks.read.ir_datasets import PREFIX
from nightrank.tasks.read.sources.kind import is_path
from nightrank.tasks.read.sources.tables import is_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from nightrank.flows.start.look import DocumentsSeen, JudgmentsSeen, LogSeen
    from nightrank.flows.start.propose import Setting
    from nightrank.storage.records import JsonValue

T = TypeVar("T")

NOTHING = "none"
REMEDY = (
    "Name other documents: `nightrank init SOURCE`. Or write nightrank.toml by hand: [documents].columns says what "
    "the columns of a table are."
)
BM25, MULTILINGUAL = "bm25", "multilingual"
TRIED = 5  # files that are called like a log, or judgments


class Ask(Protocol):
    """Asks a person."""

    def __call__(self, question: str, *, default: str, choices: tuple[str, ...] = ()) -> str:
        """The answer.

        Args:
            question: In a line.
            default: What is taken where nothing is typed; empty where something must be.
            choices: Of which one must be taken; none: any text.
        """

    def complain(self, error: InputError) -> None:
        """Say why an answer cannot be taken."""


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was found and written.

    Attributes:
        settings_file: It.
        seen: What was found.
        settings: What it says.
        warnings: What looks like a mistake in what was found.
    """

    settings_file: Path
    seen: Seen
    settings: tuple[Setting, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``init --json``."""
        seen, documents = self.seen, self.seen.documents
        log, judgments = seen.log, seen.judgments
        return {
            "settings_file": str(self.settings_file),
            "documents": {
                "source": seen.source,
                "documents": documents.count,
                "is_whole": documents.is_whole,
                "languages": dict(documents.languages),
            },
            "queries": None if log is None else {"log": log.name, "rows": log.rows, "distinct": log.distinct},
            "judgments": None if judgments is None else {**asdict(judgments)},
            "settings": [{**asdict(setting)} for setting in self.settings],
            "warnings": list(self.warnings),
        }


def initialise(folder: Path, source: str | None, *, ask: Ask | None) -> Initialised:
    """Look at what is in a folder and write its settings file.

    Args:
        folder: Where it is written, and what names are relative to.
        source: Of the documents, as it was given; None: what is found.
        ask: Asks a person what to take, what was found as defaults; None: that is taken.

    Raises:
        InputError: There is a settings file, nothing can be read, or nothing is found.
    """
    path = folder / DEFAULT_FILES[0]
    if path.exists() or path.is_symlink():
        message = f"{path} is there already, and stays as it is."
        raise InputError(message, remedy="Edit it and run `nightrank check`, or move it away.")
    named = source or find_source(folder) or ""
    if ask is None and not named:
        message = f"There is nothing in {folder} that can be read as documents."
        raise InputError(
            message, remedy="Name a folder, a file, a glob, a bucket or a database: `nightrank init SOURCE`."
        )

    def see(name: str) -> tuple[str, DocumentsSeen]:
        place = as_source(folder, name)
        others = (*possible_logs(folder, place), *possible_judgments(folder, place))
        left_out = frozenset((folder / other).resolve() for other in others if other != place)
        return place, see_documents(folder, place, left_out=left_out)

    if ask is None or source is not None:
        try:
            place, documents = see(named)
        except InputError as error:
            if not is_path(named, base=folder) or is_database(named, base=folder):
                raise
            # What it says of settings is of no use where there are none.
            raise InputError(error.message, remedy=REMEDY) from error
    else:
        place, documents = _asked(ask, "Documents (folder, file, glob, s3://..., postgresql://...)", named, see)
    log = None if place.startswith(PREFIX) else _log(folder, place, ask)
    judgments = None if log is None else _judgments(folder, place, log, documents, ask)
    seen = Seen(place, documents, log, judgments)
    multilingual = ask is not None and _wants_multilingual(documents, ask)
    settings = settings_for(seen, multilingual=multilingual)
    write_settings(path, as_toml(settings))
    return Initialised(path, seen, tuple(settings), documents.warnings)


def _log(folder: Path, source: str, ask: Ask | None) -> LogSeen | None:
    names = (name for name in possible_logs(folder, source) if name != source)
    found = _first(lambda name: see_log(folder, name), names)
    if ask is None:
        return found
    default = NOTHING if found is None else found.name
    question = "Query log (none: the documents ask)"
    return _asked(ask, question, default, lambda name: None if name == NOTHING else see_log(folder, name))


def _judgments(
    folder: Path, source: str, log: LogSeen, documents: DocumentsSeen, ask: Ask | None
) -> JudgmentsSeen | None:
    def see(name: str) -> JudgmentsSeen:
        return see_judgments(folder, name, log=log, documents=documents)

    found = _first(see, possible_judgments(folder, source))
    if ask is None:
        return found
    default = NOTHING if found is None else found.name
    return _asked(ask, "Judgments (qrels)", default, lambda name: None if name == NOTHING else see(name))


def _wants_multilingual(documents: DocumentsSeen, ask: Ask) -> bool:
    if not is_foreign(documents.languages):
        return False
    question = (
        f"{told_languages(documents.languages)} The packaged models know English alone. Search by bm25 alone, or by "
        "multilingual models from a hub (some 2.7 GB)?"
    )
    return ask(question, default=BM25, choices=(BM25, MULTILINGUAL)) == MULTILINGUAL


def _first(see: Callable[[str], T], names: Iterable[str]) -> T | None:
    """What the first file that is one holds."""
    for name in islice(names, TRIED):
        try:
            return see(name)
        except InputError:
            continue
    return None


def _asked(ask: Ask, question: str, default: str, see: Callable[[str], T]) -> T:
    """What an answer stands for, asked again until it stands for something."""
    while True:
        try:
            return see(ask(question, default=default))
        except InputError as error:
            ask.complain(error)
