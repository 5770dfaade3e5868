"""The title and the text of a PDF, by pypdf (the extra ``pdf``). Scans without a text layer have none."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.tasks.read.lines import too_large
from nightrank.tasks.read.markup.pdf_text import joined_pages, real_title

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_pdf(path: Path, *, name: str, max_bytes: int) -> tuple[str, str, bool]:
    """The title from the document's properties, empty without one, and the text of all pages, one after another.

    A title that a program made up is none. The third value is whether pypdf found the file damaged and went on.

    Args:
        path: The file.
        name: What the user calls it.
        max_bytes: The most bytes of text, as UTF-8; the file itself may be larger.

    Raises:
        ValueError: It is encrypted, damaged, holds no text, or too much of it; the message is the reason.
        InputError: pypdf is not installed.
        OSError: It cannot be opened.
    """
    try:
        import pypdf
    except ImportError as error:
        raise InputError(
            f"{name} is a PDF, and pypdf, which reads them, is not installed.",
            remedy='Install it: pip install "nightrank[pdf]".',
        ) from error
    with path.open("rb") as file, _warnings() as warnings:
        try:
            reader = pypdf.PdfReader(file)
            if reader.is_encrypted and not reader.decrypt(""):
                raise ValueError("the PDF is encrypted")
            pages: list[str] = []
            size_bytes = 0
            for page in reader.pages:
                text = page.extract_text()
                size_bytes += len(text.encode("utf-8", "surrogatepass"))
                if size_bytes > max_bytes:
                    raise ValueError(too_large(size_bytes, max_bytes))
                pages.append(text)
            title = str(reader.metadata.title or "") if reader.metadata else ""
        except ValueError:
            raise
        except Exception as error:  # pypdf raises whatever a damaged file makes Python raise
            raise ValueError(f"the PDF cannot be read ({type(error).__name__}: {error})") from error
    if not any(text.strip() for text in pages):
        raise ValueError("the PDF holds no text; a scan needs text recognition first")
    return real_title(title), joined_pages(pages), bool(warnings)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What pypdf warns of meanwhile, in place of lines on the terminal that do not say of which file."""
    found: list[str] = []
    logger = logging.getLogger("pypdf")

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    collector, propagates = Collector(logging.WARNING), logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagates
