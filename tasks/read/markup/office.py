"""Word and PowerPoint files (the extra ``office``): headings, lists, tables and notes become Markdown's.

Word is read by mammoth, which knows what styles mean and makes HTML of them; that is read as any HTML is. PowerPoint is
read by python-pptx. markitdown calls these same two and brings a model that guesses types of files, and pandas.

Such a file is a ZIP of XML, both of which can be bombs: sizes are looked at before anything is unpacked, and XML that
declares a type or entities, which Office never writes, is refused. The files of the formats before 2007 are not read.
"""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from nightrank.storage.errors import InputError
from nightrank.tasks.read.lines import too_large
from nightrank.tasks.read.markup.html import parse_html
from nightrank.tasks.read.markup.pdf_text import real_title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_PARTS = 20_000
MAX_XML_BYTES = 50_000_000
"""Of all parts that are XML; a thousand pages of text are some ten million."""
MAX_UNPACKED_BYTES = 1_000_000_000
"""With pictures and films, which python-pptx loads as well."""
_DECLARED = tuple(
    word.encode(encoding) for word in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le", "utf-16-be")
)
_PIECE_BYTES = 1 << 20
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def read_docx(path: Path, *, name: str, max_bytes: int) -> tuple[str, str]:
    """The title from the document's properties, empty where no person gave one, and the text as Markdown.

    Args:
        path: The file.
        name: What the user calls it.
        max_bytes: The most bytes of text, as UTF-8; the file itself may be larger.

    Raises:
        ValueError: It is no such file, encrypted, damaged or a bomb, or holds too much text; the message says which.
        InputError: mammoth is not installed.
        OSError: It cannot be opened.
    """
    try:
        import mammoth
    except ImportError as error:
        raise _not_installed(name, "a Word file", "mammoth") from error
    with _checked(path) as (file, title):
        html = mammoth.convert_to_html(file, convert_image=lambda _image: [], style_map=_STYLES).value
        text = parse_html(f"<html><body>{html}</body></html>").text
    return title, _bounded(text, max_bytes)


def read_pptx(path: Path, *, name: str, max_bytes: int) -> tuple[str, str]:
    """The title from the presentation's properties, empty where no person gave one, and the text of slide by slide.

    Each slide is a section under its title; tables are rows, and what the speaker is to say stands below the slide.

    Args:
        path: The file.
        name: What the user calls it.
        max_bytes: The most bytes of text, as UTF-8; the file itself may be larger.

    Raises:
        ValueError: It is no such file, encrypted, damaged or a bomb, or holds too much text; the message says which.
        InputError: python-pptx is not installed.
        OSError: It cannot be opened.
    """
    try:
        import pptx
    except ImportError as error:
        raise _not_installed(name, "a PowerPoint file", "python-pptx") from error
    with _checked(path) as (file, title):
        slides = ["\n\n".join(_of_slide(slide)) for slide in pptx.Presentation(file).slides]
    return title, _bounded("\n\n".join(slide for slide in slides if slide), max_bytes)


def _of_slide(slide: Any) -> Iterator[str]:  # noqa: ANN401  # python-pptx has no types
    heading = slide.shapes.title
    if heading is not None and (words := " ".join(heading.text_frame.text.split())):
        yield f"## {words}"
    for shape in slide.shapes:
        if heading is None or shape.shape_id != heading.shape_id:
            yield from _of_shape(shape)
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        if frame is not None and frame.text.strip():
            yield _plain(frame.text)


def _of_shape(shape: Any) -> Iterator[str]:  # noqa: ANN401  # python-pptx has no types
    if hasattr(shape, "shapes"):  # a group
        for inner in shape.shapes:
            yield from _of_shape(inner)
    elif getattr(shape, "has_table", False):
        rows = ([" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows)
        if told := "\n".join(" | ".join(row) for row in rows if any(row)):
            yield told
    elif shape.has_text_frame:
        lines = ((paragraph.level, _plain(paragraph.text)) for paragraph in shape.text_frame.paragraphs)
        written = [f"{'  ' * level}- {line}" for level, line in lines if line]
        if written:
            yield "\n".join(written) if len(written) > 1 else written[0].lstrip("- ")


def _plain(text: str) -> str:
    return text.replace("\v", "\n").strip()


@contextmanager
def _checked(path: Path) -> Iterator[tuple[Any, str]]:
    """A file that can be unpacked, open, and the title that a person gave it."""
    try:
        with path.open("rb") as file:
            with zipfile.ZipFile(file) as packed:
                _refuse_bombs(packed)
                title = _title_of(packed)
            file.seek(0)
            yield file, title
    except zipfile.BadZipFile as error:
        raise ValueError("it is no file of Office from 2007 on, or is encrypted") from error
    except (ValueError, OSError, InputError, MemoryError):
        raise
    except Exception as error:  # the libraries raise whatever a damaged file makes Python raise
        raise ValueError(f"it cannot be read ({type(error).__name__}: {str(error)[:200]})") from error


def _refuse_bombs(packed: zipfile.ZipFile) -> None:
    parts = packed.infolist()
    if len(parts) > MAX_PARTS:
        raise ValueError(f"it has {len(parts):,} parts, more than {MAX_PARTS:,}")
    is_xml = [part for part in parts if _is_xml(packed, part)]
    sizes = sum(part.file_size for part in is_xml), sum(part.file_size for part in parts)
    most = MAX_XML_BYTES, MAX_UNPACKED_BYTES
    for size, allowed, what in zip(sizes, most, ("bytes of XML", "bytes unpacked"), strict=True):
        if size > allowed:
            raise ValueError(f"it has {size:,} {what}, more than {allowed:,}")
    for part in is_xml:
        with packed.open(part) as opened:
            if _declares(iter(lambda opened=opened: opened.read(_PIECE_BYTES), b"")):  # type: ignore[misc]
                raise ValueError("its XML declares a type or entities, which Office never writes")


def _is_xml(packed: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Whether a part is XML, by what it begins with: which part is the document, its relations say, not its name."""
    name = part.filename.lower()
    if name.endswith((".xml", ".rels")):
        return True
    if name.endswith(".svg") and "/media/" in name:  # a picture, which is not looked into
        return False
    with packed.open(part) as opened:
        head = opened.read(64)
    begins = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    return begins.startswith(b"<") or (not begins and bool(head.strip(b"\0")))  # blanks alone so far


def _declares(pieces: Iterable[bytes]) -> bool:
    before = b""
    for piece in pieces:
        seen = (before + piece).upper()
        if any(word in seen for word in _DECLARED):
            return True
        before = piece[-32:]
    return False


def _title_of(packed: zipfile.ZipFile) -> str:
    try:
        root = ElementTree.fromstring(packed.read("docProps/core.xml"))  # noqa: S314  # it declares no entities
    except (KeyError, ElementTree.ParseError):
        return ""
    return real_title(root.findtext(_TITLE) or "")


def _bounded(text: str, max_bytes: int) -> str:
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > max_bytes:
        raise ValueError(too_large(size_bytes, max_bytes))
    return text


def _not_installed(name: str, what: str, package: str) -> InputError:
    return InputError(
        f"{name} is {what}, and {package}, which reads them, is not installed.",
        remedy='Install it: pip install "nightrank[office]".',
    )
