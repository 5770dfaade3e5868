"""Word and PowerPoint: what is read of them, and what is refused before it is unpacked."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pptx
import pytest
from pptx.util import Inches

from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Account
from nightrank.tasks.read.markup import office
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.settings.inputs import DocumentsSettings

if TYPE_CHECKING:
    from pathlib import Path

TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/word/document.xml"
 ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
</Types>"""
RELATIONS = """<?xml version="1.0"?><Relationships
 xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
 Target="word/document.xml"/></Relationships>"""
STYLES = """<?xml version="1.0"?><w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="T"><w:name w:val="Title"/></w:style></w:styles>"""
CORE = """<?xml version="1.0"?><cp:coreProperties
 xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{}</dc:title></cp:coreProperties>"""
WORD = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{}</w:body></w:document>'
HEAD = '<?xml version="1.0"?>'


def paragraph(text: str, style: str = "") -> str:
    chosen = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{chosen}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def table(*rows: tuple[str, ...]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def docx(body: str = "", *, title: str | None = None, head: str = HEAD, more: dict[str, bytes] | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", TYPES)
        packed.writestr("_rels/.rels", RELATIONS)
        packed.writestr("word/document.xml", head + WORD.format(body))
        packed.writestr("word/styles.xml", STYLES)
        if title is not None:
            packed.writestr("docProps/core.xml", CORE.format(title))
        for name, content in (more or {}).items():
            packed.writestr(name, content)
    return file.getvalue()


def slides() -> bytes:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "How tea is made"
    frame = first.placeholders[1].text_frame
    frame.text = "Boil water"
    frame.add_paragraph().text = "Wait"
    frame.paragraphs[1].level = 1
    first.notes_slide.notes_text_frame.text = "Tell of the cups."
    second = deck.slides.add_slide(deck.slide_layouts[6])
    second.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(1)).text_frame.text = "Alone"
    grid = second.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for at, text in enumerate(("Leaf", "Minutes", "Green", "2")):
        grid.cell(at // 2, at % 2).text = text
    deck.slides.add_slide(deck.slide_layouts[6])
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()


def read(folder: Path, name: str, content: bytes, **settings: object) -> Document | BadRow:
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs" / name).write_bytes(content)
    chosen = DocumentsSettings.model_validate({"source": "docs", **settings})
    [found] = read_documents(chosen, base=folder, account=Account())
    return found


def test_a_word_file_is_read_by_its_styles(tmp_path: Path) -> None:
    body = (
        paragraph("Guide", "T")
        + paragraph("Tea", "H1")
        + paragraph("Of &lt;leaves&gt;.")
        + table(("a", "b"), ("c", "d"))
    )
    found = read(tmp_path, "a.docx", docx(body, title="The tea guide"))
    assert isinstance(found, Document)
    assert (found.document_id, found.title) == ("a.docx", "The tea guide")
    assert "# Tea" in found.text.splitlines()
    assert "Of <leaves>." in found.text
    assert all(cell in found.text for cell in "abcd")


@pytest.mark.parametrize("title", [None, "Microsoft Word - draft.docx", ""])
def test_without_a_title_of_a_persons_the_first_heading_is_one(tmp_path: Path, title: str | None) -> None:
    found = read(tmp_path, "a.docx", docx(paragraph("Tea", "H1") + paragraph("Text"), title=title))
    assert isinstance(found, Document)
    assert found.title == "Tea"


def test_a_presentation_is_read_slide_by_slide(tmp_path: Path) -> None:
    found = read(tmp_path, "a.pptx", slides())
    assert isinstance(found, Document)
    assert found.title == "How tea is made"
    assert found.text == (
        "## How tea is made\n\n- Boil water\n  - Wait\n\nTell of the cups.\n\nAlone\n\nLeaf | Minutes\nGreen | 2"
    )


ENTITIES = '<!DOCTYPE w:document [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip at all", "no file of Office"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "no file of Office"),  # what an encrypted one is, too
        (docx(paragraph("&b;"), head=HEAD + ENTITIES), "declares a type or entities"),
        (docx(more={"word/x.xml": (HEAD + ENTITIES + "<a/>").encode("utf-16")}), "declares a type or entities"),
        (docx(more={"word/x.bin": (" " * 99 + ENTITIES + "<a/>").encode()}), "declares a type or entities"),
        (docx(more={"word/x": (HEAD + ENTITIES + "<a/>").encode("utf-16")}), "declares a type or entities"),
        (docx(more={"word/x.xml": b"<a>" + b" " * 50_000_000 + b"</a>"}), "bytes of XML"),
        (docx(more={"word/media/a.bin": bytes(1_000_000_001)}), "bytes unpacked"),
        (docx(more={f"word/{number}": b"" for number in range(20_001)}), "parts"),
        (docx("<w:p>"), "cannot be read"),
    ],
    ids=["no-zip", "ole", "entities", "utf-16", "blanks", "no-suffix", "xml", "unpacked", "parts", "broken"],
)
def test_a_file_that_cannot_be_read_is_a_bad_row(tmp_path: Path, content: bytes, reason: str) -> None:
    found = read(tmp_path, "a.docx", content)
    assert isinstance(found, BadRow)
    assert reason in found.reason


def test_a_picture_that_is_xml_is_one(tmp_path: Path) -> None:
    more = {"word/media/a.svg": b"<!DOCTYPE svg><svg/>", "word/media/b.png": b"\x89PNG" + bytes(99)}
    found = read(tmp_path, "a.docx", docx(paragraph("Tea"), more=more))
    assert isinstance(found, Document)
    assert found.text == "Tea"


@pytest.mark.parametrize("levels", [1_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_elements_within_elements_end_no_night(tmp_path: Path, levels: int) -> None:
    body = "<w:sdt><w:sdtContent>" * levels + paragraph("Tea") + "</w:sdtContent></w:sdt>" * levels
    found = read(tmp_path, "a.docx", docx(body))
    assert isinstance(found, BadRow)
    assert "cannot be read (RecursionError" in found.reason


def test_too_much_text_is_a_bad_row(tmp_path: Path) -> None:
    found = read(tmp_path, "a.docx", docx(paragraph("word " * 500)), max_document_bytes=1_000)
    assert isinstance(found, BadRow)
    assert "are more than the 1,000 allowed" in found.reason


def test_a_declaration_is_found_across_pieces() -> None:
    for at in range(1, len(b"<!doctype")):
        whole = b"<?xml version='1.0'?><!doctype x>"
        assert office._declares([whole[: 21 + at], whole[21 + at :]])
    assert not office._declares([b"<a>", b"text</a>"])
