from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Account, Entry, Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.pages import first_heading, parse_markdown, read_page

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, name: str, content: bytes, max_bytes: int = 100_000) -> Document | BadRow | None:
    path = folder / name
    path.write_bytes(content)
    return read_page(InputFile(path, name, "documents", Account()), document_id=name, max_bytes=max_bytes)


def told(folder: Path, name: str, content: bytes, document_id: str = "a") -> list[tuple[Kind, str]]:
    """What the account is told of a page, its encoding aside."""
    path, account = folder / name, Account()
    path.write_bytes(content)
    read_page(InputFile(path, name, "documents", account), document_id=document_id, max_bytes=100_000)
    return [(entry.kind, entry.what) for entry in account.entries() if entry.kind is not Kind.ENCODING]


def document(folder: Path, name: str, content: bytes) -> Document:
    page = read(folder, name, content)
    assert isinstance(page, Document), page
    return page


def reason(folder: Path, name: str, content: bytes, max_bytes: int = 100_000) -> str:
    page = read(folder, name, content, max_bytes)
    assert isinstance(page, BadRow), page
    assert (page.file, page.row) == (name, 1)
    return page.reason


def pdf(text: str, title: str = "", trailer: str = "") -> bytes:
    """A PDF of one page, written by hand."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        f"<< /Title ({title}) >>",
    ]
    body, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    end = f"xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R /Info 5 0 R {trailer}>>\n"
    return f"{body}{end}startxref\n{len(body)}\n%%EOF\n".encode("latin-1")


def test_front_matter_is_the_metadata_and_its_title_the_title(tmp_path: Path) -> None:
    page = b"---\r\ntitle: How to run\r\nweight: -10\r\ntags: [a, b]\r\n---\r\n# Heading\r\nBody.\r\n"
    assert document(tmp_path, "a.md", page) == Document(
        "a.md", "How to run", "# Heading\nBody.\n", {"weight": -10, "tags": ["a", "b"]}, "a.md", 1
    )


def test_dates_of_front_matter_become_iso_8601(tmp_path: Path) -> None:
    page = b"---\nday: 2024-06-03\nat: 2024-06-03 10:00:00Z\n2024-01-01: key\n---\ntext"
    assert document(tmp_path, "a.md", page).metadata == {
        "day": "2024-06-03",
        "at": "2024-06-03T10:00:00+00:00",
        "2024-01-01": "key",
    }


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# One\n## Two", "One"),
        ("words\n\n## Two *starred* `code` [link](x) ##", "Two starred code link"),
        ("Set\next\n===", "Set ext"),
        ("```\n# no heading\n```\n# Heading", "Heading"),
        ("    # code\n\n#\n\n# R&amp;D", "R&D"),
        ("words", ""),
    ],
)
def test_the_first_heading_is_the_title_where_front_matter_names_none(text: str, title: str) -> None:
    assert first_heading(text) == title
    assert parse_markdown(f"---\na: 1\n---\n{text}").title == title


def test_a_title_that_yaml_reads_as_a_number_is_its_digits(tmp_path: Path) -> None:
    assert document(tmp_path, "a.md", b"---\ntitle: 2024\n---\ntext").title == "2024"


def test_a_text_has_no_title_and_keeps_its_lines(tmp_path: Path) -> None:
    assert document(tmp_path, "a.txt", b"# a\r\nb\x00c\x1b[0m") == Document("a.txt", "", "# a\nb c [0m", {}, "a.txt", 1)


def test_a_pdf_gives_the_text_of_its_pages_and_the_title_of_its_properties(tmp_path: Path) -> None:
    assert document(tmp_path, "a.pdf", pdf("Hello world.", "A title")) == Document(
        "a.pdf", "A title", "Hello world.", {}, "a.pdf", 1
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the PDF cannot be read"),
        (b"%PDF-1.4 nonsense", "the PDF cannot be read"),
        (pdf("")[:300], "the PDF cannot be read"),
        (pdf(" "), "the PDF holds no text; a scan needs text recognition first"),
        (pdf("x" * 600), "600 bytes are more than the 500 allowed"),
    ],
)
def test_a_pdf_that_cannot_be_used_is_a_bad_row(tmp_path: Path, content: bytes, why: str) -> None:
    assert why in reason(tmp_path, "a.pdf", content, max_bytes=500)


def test_a_pdf_that_is_encrypted_is_a_bad_row(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    (tmp_path / "open.pdf").write_bytes(pdf("secret"))
    writer = pypdf.PdfWriter(clone_from=tmp_path / "open.pdf")
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(tmp_path / "a.pdf")
    assert reason(tmp_path, "a.pdf", (tmp_path / "a.pdf").read_bytes()) == "the PDF is encrypted"


def test_a_pdf_without_the_package_that_reads_it_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(InputError, match=r'a\.pdf is a PDF, and pypdf.* pip install "nightrank\[pdf\]"'):
        read(tmp_path, "a.pdf", pdf("text"))


@pytest.mark.parametrize(
    ("name", "content"), [("a.md", b"---\ntags: [x]\n---\n"), ("a.txt", b" \n\x07"), ("a.html", b"<p> </p>")]
)
def test_an_empty_page_is_skipped_and_counted_and_no_bad_row(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    account = Account()

    file = InputFile(tmp_path / name, name, "documents", account)
    assert read_page(file, document_id=name, max_bytes=100) is None
    assert Entry("documents", Kind.SKIPPED, "empty page", 1, name) in account.entries()


@pytest.mark.parametrize("suffix", ["md", "txt", "html"])
def test_a_page_that_cannot_be_used_is_a_bad_row(tmp_path: Path, suffix: str) -> None:
    name = f"a.{suffix}"
    assert reason(tmp_path, name, b"caf\xe9") == (
        "byte 4 (0xe9) is not UTF-8; it looks like WINDOWS-1252: iconv -f WINDOWS-1252 -t UTF-8"
    )
    assert reason(tmp_path, name, b"x" * 101, max_bytes=100) == "101 bytes are more than the 100 allowed"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("suffix", ["md", "txt", "html"])
def test_a_page_in_utf_16_is_decoded_with_a_mark_and_without(tmp_path: Path, suffix: str, encoding: str) -> None:
    page = document(tmp_path, f"a.{suffix}", "Schuhe zur\u00fcckgeben".encode(encoding))
    assert page.text == "Schuhe zur\u00fcckgeben"


def test_a_page_that_is_no_utf_16_although_it_is_marked_so_is_a_bad_row(tmp_path: Path) -> None:
    assert reason(tmp_path, "a.txt", b"\xff\xfea") == "byte 3 is not UTF-16-LE, as it should be"


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("Größe und Rückgabe", "cp1252", "WINDOWS-1252"),
        ("靴の返品は十四日以内にお願いします", "cp932", "SHIFT_JIS"),
        ("Возврат обуви в течение дней", "cp1251", "WINDOWS-1251"),
        ("退货政策：十四天内可以退回鞋子", "gb18030", "GB18030"),
    ],
)
def test_a_page_in_another_encoding_is_a_bad_row_that_says_how_to_convert_it(
    tmp_path: Path, text: str, codec: str, name: str
) -> None:
    assert reason(tmp_path, "a.md", text.encode(codec)).endswith(f"it looks like {name}: iconv -f {name} -t UTF-8")


def test_what_the_settings_say_of_the_encoding_is_believed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes("Gr\u00f6\u00dfe".encode("cp1252"))
    page = read_page(
        InputFile(tmp_path / "a.md", "a.md", "documents", Account(), "windows-1252"), document_id="a", max_bytes=100
    )
    assert isinstance(page, Document)
    assert page.text == "Gr\u00f6\u00dfe"


@pytest.mark.parametrize(
    "head",
    [
        '<meta charset="iso-8859-1">',
        "<meta charset=latin1>",
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252">',
        '<?xml version="1.0" encoding="ISO-8859-1"?>',
    ],
)
def test_a_charset_that_a_page_declares_is_believed(tmp_path: Path, head: str) -> None:
    content = f"{head}<title>R\u00fcckgabe</title><p>Schuhe zur\u00fcckgeben".encode("cp1252")
    page = document(tmp_path, "a.html", content)
    assert (page.title, page.text) == ("R\u00fcckgabe", "Schuhe zur\u00fcckgeben")


def test_utf_8_that_is_declared_as_something_else_is_utf_8(tmp_path: Path) -> None:
    assert document(tmp_path, "a.html", '<meta charset="iso-8859-1">\u00fc'.encode()).text == "\u00fc"


@pytest.mark.parametrize("charset", ["utf-7", "rot13", "unicode_escape", "utf-16", "no-such"])
def test_a_charset_that_is_none_of_texts_is_not_believed(tmp_path: Path, charset: str) -> None:
    assert "is not UTF-8" in reason(tmp_path, "a.html", f'<meta charset="{charset}">'.encode() + b"caf\xe9")


@pytest.mark.parametrize(
    ("name", "content", "document_id", "why"),
    [
        ("a.md", b"---\ndraft: true\n---\ntext", "a.md", "draft"),
        ("a.md", b"---\npublished: false\n---\ntext", "a.md", "page that is not published"),
        ("a.md", b"+++\ndraft = true\n+++\ntext", "a.md", "draft"),
        ("a.md", b"Title: A\nStatus: draft\n\ntext", "a.md", "draft"),
        ("a.md", b"---\nsearch:\n  exclude: true\n---\ntext", "a.md", "page kept out of searches"),
        ("a.md", b"---\ntitle: a: b\ndraft: true\n---\ntext", "a.md", "draft"),  # broken, and still a draft
        ("x.md", b"text", "docs/_drafts/x.md", "page in _drafts"),
        ("404.html", b"<p>Not found", "404.html", "page of an error"),
        ("a.html", b'<meta name="robots" content="NOINDEX, nofollow"><p>text', "a.html", "page with noindex"),
        ("a.html", b'<meta http-equiv=refresh content="0; url=/new"><p>Moved', "a.html", "page that redirects"),
        ("a.html", b"<title>Redirecting</title><script>location.replace('/b')</script>", "a", "page that redirects"),
        ("a.html", b"<frameset><frame src=a><noframes>None</noframes></frameset>", "a", "page of frames"),
    ],
)
def test_what_is_not_meant_to_be_found_is_skipped_and_told(
    tmp_path: Path, name: str, content: bytes, document_id: str, why: str
) -> None:
    assert told(tmp_path, name, content, document_id) == [(Kind.SKIPPED, why)]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        (
            "a.md",
            b"---\ntitle: a: b\n---\ntext",
            "front matter left out but for its title: mapping values are not allowed in this context in line 2",
        ),
        ("a.md", b"![logo](data:image/png;base64,iVBOR)", "pictures written out in links left out"),
        ("a.txt", b"key " + b"iVBORw0KGgoAAAANSUhEUgAA" * 20, "data written out in a text left out"),
        ("a.md", b"text\n\n<!-- open", "a comment that is never closed left out, with all that follows"),
        ("a.html", b"<p>text<!-- open", "an HTML comment that is never closed left out, with all that follows"),
    ],
)
def test_what_was_put_right_on_the_way_is_told(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    assert told(tmp_path, name, content) == [(Kind.MENDED, what)]


def test_broken_front_matter_costs_the_fields_and_not_the_page(tmp_path: Path) -> None:
    page = document(tmp_path, "a.md", b"---\ntitle: Governance: how we decide\ntags: [a\n---\nWe decide together.\n")
    assert (page.title, page.text, page.metadata) == ("Governance: how we decide", "We decide together.\n", {})


def test_invisible_characters_are_not_in_what_is_read(tmp_path: Path) -> None:
    page = document(tmp_path, "a.html", "<title>S\u00ado</title>Kranken&shy;versicherungs\u200bkarte".encode())
    assert (page.title, page.text) == ("So", "Krankenversicherungskarte")


def test_an_id_longer_than_512_bytes_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text")
    file = InputFile(tmp_path / "a.txt", "a.txt", "documents", Account())
    page = read_page(file, document_id="x/" * 300, max_bytes=100)
    assert isinstance(page, BadRow)
    assert "600 bytes long, more than 512" in page.reason


def test_a_page_that_is_gone_is_a_bad_row(tmp_path: Path) -> None:
    page = read_page(InputFile(tmp_path / "a.txt", "a.txt", "documents", Account()), document_id="a", max_bytes=100)
    assert isinstance(page, BadRow)
    assert page.reason == "does not exist"
