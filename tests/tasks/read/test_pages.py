from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Account, Entry, Kind
from nightrank.tasks.read.front_matter import split_front_matter
from nightrank.tasks.read.html import parse_html
from nightrank.tasks.read.pages import first_heading, parse_markdown, read_page

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, name: str, content: bytes, max_bytes: int = 100_000) -> Document | BadRow | None:
    path = folder / name
    path.write_bytes(content)
    return read_page(path, name=name, document_id=name, max_bytes=max_bytes, account=Account())


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
    ("block", "why"),
    [
        ("a: [", "broken YAML: did not find expected node content in line 3"),
        ("a: b: c", "broken YAML: mapping values are not allowed in this context in line 2"),
        ("a: \x00", "broken YAML"),
        ("just words", "front matter is a text, not a mapping"),
        ("- a\n- b", "front matter is a list, not a mapping"),
        ("a: !!set {b}", "front matter: a set is no JSON value"),
        ("a: 2024-13-45", "broken YAML: month must be in 1..12"),
        ("a: !!python/object:os.system x", "broken YAML: could not determine a constructor"),
        ("a: !!binary /w==", "front matter: bytes that are no text"),
        ("1: a\n'1': b", "front matter: two keys of a mapping read the same"),
        ("a: &x [1]\nb: *x", "broken YAML: the alias *x; write the value out"),
        ("a: &x [*x]", "broken YAML: the alias *x; write the value out"),
        ("a: " + "[" * 200_000 + "]" * 200_000, "broken YAML: nested deeper than 32 levels"),
        ("title: [a]", "the front matter's title is a list, not a text"),
    ],
)
def test_front_matter_that_cannot_be_used_is_a_bad_row(tmp_path: Path, block: str, why: str) -> None:
    assert why in reason(tmp_path, "a.md", f"---\n{block}\n---\ntext".encode(), max_bytes=1_000_000)


def test_front_matter_that_is_never_closed_is_a_bad_row(tmp_path: Path) -> None:
    assert reason(tmp_path, "a.md", b"---\na: 1\ntext") == "front matter is opened by --- in line 1 and never closed"


def test_front_matter_may_be_empty_or_absent() -> None:
    assert split_front_matter("---\n---\ntext") == ({}, "text")
    assert split_front_matter("---\n# only a comment\n...\ntext") == ({}, "text")
    assert split_front_matter("text\n---\na: 1\n---\n") == ({}, "text\n---\na: 1\n---\n")
    assert split_front_matter("----\ntext") == ({}, "----\ntext")


@given(st.text(alphabet="-[]{}:&*!|>?'\" \nab1.#%@", max_size=60))
def test_no_front_matter_raises_anything_but_a_reason(block: str) -> None:
    try:
        split_front_matter(f"---\n{block}\n---\n")
    except ValueError as error:
        assert "front matter" in str(error)  # noqa: PT017


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
    assert parse_markdown(f"---\na: 1\n---\n{text}") == ({"a": 1}, title, text)


def test_a_title_that_yaml_reads_as_a_number_is_its_digits(tmp_path: Path) -> None:
    assert document(tmp_path, "a.md", b"---\ntitle: 2024\n---\ntext").title == "2024"


def test_a_text_has_no_title_and_keeps_its_lines(tmp_path: Path) -> None:
    assert document(tmp_path, "a.txt", b"# a\r\nb\x00c\x1b[0m") == Document("a.txt", "", "# a\nb c [0m", {}, "a.txt", 1)


def test_html_is_what_a_reader_sees(tmp_path: Path) -> None:
    page = b"""<!DOCTYPE html><html><head><title>The
      guide</title><style>p { color: red }</style><script>if (a < b) { run("<p>") }</script></head>
      <body><nav><ul><li>Home</li></ul><nav>inner</nav>menu</nav>
      <h1>Start <em>here</em></h1><p>Run &amp; see:  a&nbsp;b</p><ul><li>one<li>two</ul>
      <pre>x = 1
  y  = 2</pre><table><tr><td>a</td><td>b</td></tr></table>end<br/>of it<!-- not this --><svg><title>no</title></svg>
      </body></html>"""
    page_document = document(tmp_path, "a.html", page)
    assert page_document.title == "The guide"
    assert page_document.text.splitlines() == [
        "Start here",
        "Run & see: a\N{NO-BREAK SPACE}b",
        "one",
        "two",
        "x = 1",
        "  y  = 2",
        "a b",
        "end",
        "of it",
    ]


def test_the_first_h1_is_the_title_of_html_without_one() -> None:
    assert parse_html("<h1>A <b>b</b></h1><h1>C</h1>") == ("A b", "A b\nC")
    assert parse_html("<title> </title><h1>A</h1>") == ("A", "A")
    assert parse_html("plain") == ("", "plain")


@pytest.mark.parametrize("source", ["a<![foo[ b>c", "a<!doctype [", "a<!", "a</", "a<p", "a&#x110000;", "<a b=>a"])
def test_broken_html_is_read_as_far_as_it_goes(source: str) -> None:
    assert parse_html(source)[1].startswith("a")


@given(st.text(alphabet="<>!/[]-ap rescit&#x;\"'=\n", max_size=80))
def test_no_html_raises(source: str) -> None:
    parse_html(source)


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

    assert read_page(tmp_path / name, name=name, document_id=name, max_bytes=100, account=account) is None
    assert Entry("documents", Kind.SKIPPED, "empty page", 1, name) in account.entries()


@pytest.mark.parametrize("suffix", ["md", "txt", "html"])
def test_a_page_that_cannot_be_used_is_a_bad_row(tmp_path: Path, suffix: str) -> None:
    name = f"a.{suffix}"
    assert reason(tmp_path, name, b"caf\xe9") == "byte 4 (0xe9) is not UTF-8"
    assert reason(tmp_path, name, b"x" * 101, max_bytes=100) == "101 bytes are more than the 100 allowed"


def test_a_page_in_utf_16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is written in UTF-16"):
        read(tmp_path, "a.txt", "text".encode("utf-16"))


def test_an_id_longer_than_512_bytes_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text")
    page = read_page(tmp_path / "a.txt", name="a.txt", document_id="x/" * 300, max_bytes=100, account=Account())
    assert isinstance(page, BadRow)
    assert "600 bytes long, more than 512" in page.reason


def test_a_page_that_is_gone_is_a_bad_row(tmp_path: Path) -> None:
    page = read_page(tmp_path / "a.txt", name="a.txt", document_id="a", max_bytes=100, account=Account())
    assert page == BadRow("a.txt", 1, "does not exist")
