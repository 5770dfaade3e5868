"""A connector of somebody else's, the example among them: found as an entry point, and asked for what changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.sources.gather import gather
from nightrank.storage.sources.kept import NO_TEXT, Kept
from nightrank.storage.sources.source import Fetched, Listed, Source
from nightrank.tasks.read.signature import source_signature
from nightrank.tasks.settings.inputs import DocumentsSettings
from tests.support.tracker import TOKEN, Tracker, tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.tasks.read.sources.conftest import Reader

EXAMPLE = Path(__file__).parents[4] / "examples" / "issues_source.py"
CODE = """
from nightrank.storage.sources.source import Fetched, Listed, Source

class Odd(Source):
    def __init__(self, place):
        self.place = place

    def listing(self):
        if self.place == "fails":
            raise KeyError("nothing")
        if self.place == "numbers":
            yield Listed(7, "1")
        if self.place == "versions":
            yield Listed("7", 1)
        if self.place == "times":
            yield Listed("7", "1", modified="2026-11-01")
        if self.place == "halves":
            yield Listed("half \\udcff", "\\udcff", {"title": "Half"})
            yield Listed("c", "\\udcff", {"title": "C", "text": "Of c"})
        text = object() if self.place == "odd" else "In the listing"
        yield Listed("a", None, {"title": "A", "text": text})
        yield Listed("b", "1")
        if self.place == "twice":
            yield Listed("b", "1")

    def fetch(self, wanted):
        for one in wanted:
            version = 1 if self.place == "fetched" else "1"
            yield Fetched(one.key, version, {"_id": "other", "text": object() if self.place == "odd" else "Fetched"})

class Files(Source):
    gives = "files"
    at_once = 2

    def __init__(self, place):
        pass

    def listing(self):
        yield from (Listed(key, "1") for key in ("b/a.txt", "a.txt", "rows.csv", "picture.png", ".hidden.txt"))

    def fetch(self, wanted):
        for one in wanted:
            yield Fetched(one.key, "1", [b"id,title,text\\n1,", b"One,Two\\n"] if "rows" in one.key else [b"Text"])

def nothing(place):
    return place
"""


@pytest.fixture
def issues() -> Iterator[Tracker]:
    with tracker() as held:
        for number in range(1, 6):
            held.issues[number] = f"Issue {number}", f"Body {number}", "2026-11-01T10:00:00Z", []
        held.issues[3][3].append("A comment")
        yield held


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with entry points, as pip installs one."""
    site = tmp_path / "site"
    (site / "trackers-1.0.dist-info").mkdir(parents=True)
    shutil.copy(EXAMPLE, site)
    (site / "odd_source.py").write_text(CODE)
    entries = [
        *("issues = issues_source:IssuesSource", "odd = odd_source:Odd"),
        *("none = odd_source:nothing", "gone = no_such:X", "files = odd_source:Files"),
    ]
    (site / "trackers-1.0.dist-info" / "METADATA").write_text("Name: trackers\nVersion: 1.0\n")
    (site / "trackers-1.0.dist-info" / "entry_points.txt").write_text("\n".join(["[nightrank.sources]", *entries]))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("ISSUES_TOKEN", TOKEN)


def settings(held: Tracker) -> DocumentsSettings:
    return DocumentsSettings(source=f"issues:{held.address}/repos/acme/shop")


def test_issues_are_documents_and_only_changed_ones_are_fetched(issues: Tracker, reader: Reader) -> None:
    found = {document.document_id: document for document in reader.read(settings(issues))}
    assert list(found) == ["1", "2", "3", "4", "5"]
    assert (found["3"].title, found["3"].text) == ("Issue 3", "Body 3\n\nA comment")
    assert found["1"].metadata == {
        "url": f"{issues.address}/acme/shop/issues/1",
        "state": "open",
        "labels": ["bug"],
    }
    issues.counts.clear()
    issues.issues[2] = "Issue 2", "Otherwise", "2026-11-02T10:00:00Z", []
    del issues.issues[4]
    texts = reader.texts(settings(issues))
    assert texts == {"1": "Body 1", "2": "Otherwise", "3": "Body 3\n\nA comment", "5": "Body 5"}
    assert issues.counts == {"GET issues": 2, "GET issue": 2}  # the changed one, and the one that went


def test_a_limit_of_requests_is_waited_for(issues: Tracker, reader: Reader) -> None:
    issues.allowed = 4
    assert len(reader.read(settings(issues))) == 5


def test_a_page_that_fails_changes_nothing(issues: Tracker, reader: Reader) -> None:
    before = reader.texts(settings(issues))
    issues.fail = ("page=2",)
    with pytest.raises(MachineError, match="answers 403"):
        reader.read(settings(issues))
    issues.fail = ()
    assert reader.texts(settings(issues)) == before


def test_a_page_that_is_short_is_no_deletion(issues: Tracker, reader: Reader) -> None:
    reader.read(settings(issues))
    whole = issues.answer

    def short(path: str, query: dict[str, list[str]]) -> object:
        status, body, more = whole(path, query)
        return status, body, "" if query.get("page") == ["2"] else more

    issues.answer = short  # type: ignore[method-assign, assignment]
    with pytest.raises(MachineError, match=r"'5' is there and is not in it"):
        reader.read(settings(issues))


def test_its_signature_comes_without_the_issues(issues: Tracker, tmp_path: Path) -> None:
    first = source_signature(settings(issues), base=tmp_path, named={})
    assert source_signature(settings(issues), base=tmp_path, named={}) == first
    issues.issues[2] = "Issue 2", "Otherwise", "2026-11-02T10:00:00Z", []
    assert source_signature(settings(issues), base=tmp_path, named={}) != first
    assert set(issues.counts) == {"HEAD issues"}


def test_a_token_that_is_not_known_is_told_and_not_shown(
    issues: Tracker, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISSUES_TOKEN", "another-secret")
    with pytest.raises(InputError, match="ISSUES_TOKEN") as raised:
        reader.read(settings(issues))
    assert "another-secret" not in str(raised.value)


def test_a_record_in_a_listing_is_not_fetched_and_an_id_may_be_its_own(reader: Reader) -> None:
    found = [(document.document_id, document.text) for document in reader.read(DocumentsSettings(source="odd:x"))]
    assert found == [("a", "In the listing"), ("other", "Fetched")]


class Generous(Source):
    """Gives one of its items whatever is asked for."""

    def __init__(self) -> None:
        self.keys = ["a", "b"]

    def listing(self) -> Iterator[Listed]:
        yield from (Listed(key, "1") for key in self.keys)

    def fetch(self, wanted: Sequence[Listed]) -> Iterator[Fetched]:
        for one in wanted:
            yield Fetched("a", "1", {"text": "Of a"})
            if one.key in self.keys:
                yield Fetched(one.key, "1", {"text": "Asked for"})


def test_what_was_not_asked_for_is_no_sign_of_a_short_listing(tmp_path: Path) -> None:
    source = Generous()
    with Kept(tmp_path / "kept") as kept:
        gather(source, kept, name="generous")
        source.keys = ["a"]
        gather(source, kept, name="generous")
        assert [content.key for content in kept.contents()] == ["a"]


def test_files_of_a_connector_are_read_as_those_of_a_folder(reader: Reader) -> None:
    found = reader.read(DocumentsSettings(source="files:x"))
    assert [(document.document_id, document.text) for document in found] == [
        ("a.txt", "Text"),
        ("b/a.txt", "Text"),
        ("1", "Two"),
    ]


def test_a_record_that_json_cannot_say_is_a_bad_row(reader: Reader) -> None:
    assert reader.read(DocumentsSettings(source="odd:odd")) == []
    assert ["no JSON value" in row.reason for row in reader.bad] == [True, True]


def test_a_key_that_is_no_text_is_a_bad_row(reader: Reader) -> None:
    for _ in range(2):
        found = reader.texts(DocumentsSettings(source="odd:halves"))
        assert found == {"a": "In the listing", "other": "Fetched", "c": "Of c"}
        assert [row.reason for row in reader.bad] == [NO_TEXT]


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("odd:fails", MachineError, r"its source failed \(KeyError"),
        ("odd:numbers", InputError, "lists a key that is no text, but of the type int"),
        ("odd:versions", InputError, "lists a version that is no text, but of the type int"),
        ("odd:fetched", InputError, "gives a version that is no text, but of the type int"),
        ("odd:times", InputError, "lists '7' with a time that is no number, but str"),
        ("odd:twice", InputError, "1 keys more than once"),
        ("none:x", InputError, "gives str, which is no Source"),
        ("gone:x", MachineError, "ModuleNotFoundError"),
        ("wiki:x", InputError, "no connector 'wiki'.*installed are files, gone, issues, none, odd"),
        ("wiki://x", InputError, "cannot be read from wiki://"),
    ],
)
def test_what_is_wrong_with_a_connector_is_told(reader: Reader, source: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        reader.read(DocumentsSettings(source=source))


def test_a_file_that_is_called_like_a_connector_is_a_file(reader: Reader) -> None:
    (reader.folder / "odd:x.txt").write_text("Of a file")
    [found] = reader.read(DocumentsSettings(source="odd:x.txt"))
    assert found.text == "Of a file"
