"""What kind of source ``[documents].source`` names."""

from __future__ import annotations

import os
import re
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.sources.database import DATABASE_SUFFIXES
from nightrank.storage.workspace.open import is_address
from nightrank.tasks.read.ir_datasets import PREFIX

if TYPE_CHECKING:
    from nightrank.tasks.settings.inputs import DocumentsSettings

SERVERS = ("postgresql://", "postgres://")
_NAMED = re.compile(r"([a-z][a-z0-9_-]+):(?!//)(.*)", re.DOTALL)


class SourceKind(Enum):
    """Kinds of sources."""

    FILES = auto()  # a folder, a file or a glob here
    IR_DATASETS = auto()
    BUCKET = auto()
    SERVER = auto()  # a database that is asked over a network
    DATABASE = auto()  # a file here that a query is asked of
    CONNECTOR = auto()  # of an installed package


def kind_of(settings: DocumentsSettings, *, base: Path) -> SourceKind:
    """The kind of a source.

    Args:
        settings: ``[documents]``.
        base: The folder that a relative source is relative to.

    Raises:
        InputError: It is an address that is not known, or has no query and needs one, or has one and cannot.
    """
    source, has_query = settings.source, settings.query is not None
    if source.startswith(SERVERS) or (not has_query and is_database_file(source, base=base)):
        if not has_query:
            raise InputError(
                "The source is a database, and nothing says which rows are documents.",
                remedy='Say it in [documents]: query = "SELECT id, title, body FROM articles".',
            )
        return SourceKind.SERVER
    if is_address(source):
        kind = SourceKind.BUCKET
    elif source.startswith(PREFIX):
        kind = SourceKind.IR_DATASETS
    elif "://" in source and not _NAMED.match(source):
        scheme = source.partition("://")[0]
        shown = scheme if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme) else "..."
        raise InputError(
            f"Documents cannot be read from {shown}:// addresses.",
            remedy="Known are s3://, gs://, az:// and postgresql://; for others write a connector.",
        )
    elif is_of_connector(source, base=base):
        kind = SourceKind.CONNECTOR
    elif has_query:
        return SourceKind.DATABASE
    else:
        return SourceKind.FILES
    if has_query:
        raise InputError(
            f"{source} is no database, and [documents].query asks one.",
            remedy="Take the query out, or name a database or a table that DuckDB reads.",
        )
    return kind


def is_fetched(settings: DocumentsSettings, *, base: Path) -> bool:
    """Whether each item of a source costs a request."""
    return kind_of(settings, base=base) in {SourceKind.BUCKET, SourceKind.CONNECTOR}


def is_of_connector(source: str, *, base: Path) -> bool:
    """Whether a source is a connector's: a name and a colon, and no file that is called so."""
    named = _NAMED.match(source)
    # os.path.exists: what cannot be a path, since it is too long for one, is none.
    return named is not None and not source.startswith(PREFIX) and not os.path.exists(base / source)  # noqa: PTH110


def is_database_file(source: str, *, base: Path) -> bool:
    """Whether a source is called like a database, and is a path, and no folder."""
    is_called_so = Path(source).suffix.lower() in DATABASE_SUFFIXES
    return is_called_so and is_path(source, base=base) and not (base / source).is_dir()


def is_path(source: str, *, base: Path) -> bool:
    """Whether a source is a path, and no address, data set or connector.

    Args:
        source: As settings have it.
        base: The folder that a path is relative to.
    """
    return "://" not in source and not source.startswith(PREFIX) and not is_of_connector(source, base=base)


def connector_of(source: str) -> tuple[str, str]:
    """The name of a connector, and what is handed to it.

    >>> connector_of("tracker:https://example.org/acme")
    ('tracker', 'https://example.org/acme')
    """
    found = _NAMED.match(source)
    assert found is not None
    return found[1], found[2]
