"""Buckets: only what changed is fetched, and nothing that goes wrong with a store reads as a deletion."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.sources.gather import GONE, LISTINGS
from nightrank.storage.sources.kept import forget_places, lend_kept
from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.sources.read import WENT, newest_kept
from nightrank.tasks.settings.inputs import DocumentsSettings
from tests.support.exports import parquet
from tests.support.watched_store import ARCHIVED, BROKEN, DENIED, EXPIRED, NO_KEY, Answer, Asked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.watched_store import Watched
    from tests.tasks.read.sources.conftest import Reader

PAGES = 13  # three pages of a listing


def filled(bucket: Watched, pages: int = PAGES) -> dict[str, str]:
    """A bucket of pages; their texts."""
    texts = {f"page-{number:02}.txt": f"# Page {number}\n\nWhat it says." for number in range(pages)}
    for key, text in texts.items():
        bucket.put(f"docs/{key}", text)
    return texts


def on(what: str, answer: Answer, *, key: str = "", page: int = 0) -> object:
    def answered(asked: Asked) -> Answer | None:
        return answer if (asked.what, asked.key) == (what, key) and asked.page >= page else None

    return answered


FOLDER = {
    "a.md": b"# A\n\nOf a.",
    "a/b.md": b"# B\n\nOf b.",
    "a-c.md": b"# C\n\nOf c.",
    "a b+c%20 é#?.md": b"# Odd name",
    "sub/404.html": b"<h1>Not found</h1>",
    "sub/page.html": b"<html lang=de><title>Seite</title><body><h1>Kopf</h1><p>Ein Text.</body></html>",
    "sub/_drafts/x.md": b"# Draft",
    "sub/node_modules/deep/x.md": b"# Theirs",
    "sub/.hidden/x.md": b"# Hidden",
    ".hidden.md": b"# Hidden",
    "img/picture.png": b"\x89PNG",
    "README": b"no suffix",
    "empty.md": b"",
    "binary.md": b"\xff\xfe\x00\xd8",
    "lang=fr/year=2024/t.csv": b"id,title,text\n1,Un,Deux trois\n2,,\n",
    "rows.csv.gz": gzip.compress(b"id,title,text\n3,Three,Rows\n"),
    "rows.parquet": parquet(id=["4"], title=["Four"], text=["Of Parquet"]),
    "beir/corpus.jsonl": b'{"_id": "5", "title": "Five", "text": "Of BEIR"}\n',
    "beir/queries.jsonl": b'{"_id": "1", "text": "no document"}\n',
    "beir/qrels/test.tsv": b"query-id\tcorpus-id\tscore\n1\t5\t1\n",
    "kept.txt": b"Plain text.",
    "v1.2/news.txt": b"Of a folder with a dot.",
    "broken.csv.gz": b"no gzip",
}


@pytest.mark.parametrize(
    "patterns",
    [
        {},
        pytest.param({"include": ["*.md", "lang=*/"]}, marks=pytest.mark.long),
        pytest.param({"exclude": ["a/", "*.csv", "sub/*", "!sub/page.html"]}, marks=pytest.mark.long),
    ],
    ids=["default", "include", "exclude"],
)
def test_a_bucket_gives_what_a_folder_with_the_same_files_gives(
    bucket: Watched, reader: Reader, patterns: dict[str, list[str]]
) -> None:
    for name, content in FOLDER.items():
        path = reader.folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        bucket.put(f"docs/{name}", content)
    for marker in ("docs/", "docs/sub/", "docs/a/", "docs/beir/", "docs/v1.2/", "docs/kept.txt/"):  # as consoles make
        bucket.put(marker, b"")
    bucket.put("docs-old/x.md", b"# Of another prefix")

    def alike(settings: DocumentsSettings) -> tuple[object, ...]:
        documents = reader.read(settings)
        where = [(entry.kind, entry.what, entry.count, entry.where) for entry in reader.account]
        return documents, [(row.file, row.row, row.reason) for row in reader.bad], where

    folder = alike(DocumentsSettings.model_validate({"source": "docs", **patterns}))
    assert len(folder[0]) > 3  # type: ignore[arg-type]
    for _ in range(2):  # fetched, and kept
        assert alike(bucket.settings("docs/", **patterns)) == folder


def test_a_night_lists_and_fetches_what_changed_and_no_more(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    bucket.put("docs/picture.png", b"none of the documents")
    assert reader.texts(bucket.settings()) == texts
    assert bucket.counts == {"list": 3, "tail": 1, "get": PAGES}

    bucket.counts.clear()
    bucket.put("docs/page-07.txt", "# Page 7\n\nOtherwise.")
    bucket.put("docs/page-99.txt", "# Page 99")
    bucket.put("docs/page-08.txt", texts["page-08.txt"])  # written again, as it was
    found = reader.texts(bucket.settings())
    assert found == texts | {"page-07.txt": "# Page 7\n\nOtherwise.", "page-99.txt": "# Page 99"}
    assert bucket.counts == {"list": 3, "tail": 1, "get": 2}


def test_what_was_removed_is_asked_for_once_and_gone(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    reader.texts(bucket.settings())
    bucket.counts.clear()
    bucket.delete("docs/page-03.txt")
    del texts["page-03.txt"]
    assert reader.texts(bucket.settings()) == texts
    assert bucket.counts["get"] == 1
    bucket.counts.clear()
    assert reader.texts(bucket.settings()) == texts
    assert bucket.counts["get"] == 0
    assert len(list((reader.folder / "sources").rglob("*.txt"))) == PAGES - 1


@pytest.mark.parametrize(
    "answer",
    [EXPIRED, pytest.param(BROKEN, marks=pytest.mark.long), DENIED],  # what is broken is asked again for a while
    ids=["expired", "broken", "denied"],
)
@pytest.mark.parametrize("page", [1, 2])
def test_a_listing_that_fails_changes_nothing(bucket: Watched, reader: Reader, answer: Answer, page: int) -> None:
    texts = filled(bucket)
    reader.texts(bucket.settings())
    bucket.counts.clear()
    bucket.answer = on("list", answer, page=page)  # type: ignore[assignment]
    with pytest.raises((MachineError, InputError)) as raised:
        reader.read(bucket.settings())
    assert raised.value.remedy
    assert answer is not EXPIRED or "these credentials no more" in raised.value.message
    assert bucket.counts["get"] == 0
    bucket.answer = lambda _asked: None
    assert reader.texts(bucket.settings()) == texts
    assert bucket.counts["get"] == 0  # all is still kept


def cut(asked: Asked, body: bytes) -> bytes:
    """A page that says there is another one, and does not say which."""
    if asked.what == "list" and asked.page == 1:
        start, end = body.index(b"<NextContinuationToken>"), body.index(b"</NextContinuationToken>")
        return body[:start] + body[end + len(b"</NextContinuationToken>") :]
    return body


def whole(asked: Asked, body: bytes) -> bytes:
    """A page that says that it is the last, and is not."""
    return cut(asked, body).replace(b"<IsTruncated>true", b"<IsTruncated>false")


@pytest.mark.parametrize("change", [cut, whole])
def test_a_listing_that_ends_early_is_gone_on_with_behind_its_last_key(
    bucket: Watched, reader: Reader, change: object
) -> None:
    texts = filled(bucket)
    bucket.change = change  # type: ignore[assignment]
    assert reader.texts(bucket.settings()) == texts  # also the first time


def test_a_store_that_cannot_begin_behind_a_key_lists_nothing_twice(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    bucket.knows_no_start = True
    assert reader.texts(bucket.settings()) == texts


def holes(asked: Asked, body: bytes) -> bytes:
    """A page that leaves out keys that are there, as an index that is not up to date does."""
    for key in (b"page-05.txt", b"page-06.txt"):
        start = body.rfind(b"<Contents>", 0, body.index(key)) if key in body else -1
        if start >= 0:
            body = body[:start] + body[body.index(b"</Contents>", start) + len(b"</Contents>") :]
    return body


def test_a_listing_that_leaves_out_what_is_there_is_no_deletion(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    reader.texts(bucket.settings())
    bucket.change = holes
    bucket.counts.clear()
    with pytest.raises(MachineError, match=r"short: 'page-05\.txt' is there and is not in it, nor are 1 others"):
        reader.read(bucket.settings())
    assert bucket.counts["list"] == 3 * LISTINGS
    bucket.change = lambda _asked, body: body
    assert reader.texts(bucket.settings()) == texts


def test_a_listing_that_is_short_once_is_taken_again(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    reader.texts(bucket.settings())
    bucket.counts.clear()
    bucket.change = lambda asked, body: holes(asked, body) if bucket.counts["list"] <= 3 else body
    assert reader.texts(bucket.settings()) == texts
    assert bucket.counts["list"] == 6


def test_an_xml_that_is_cut_off_is_no_listing(bucket: Watched, reader: Reader) -> None:
    filled(bucket)
    reader.texts(bucket.settings())
    bucket.change = lambda asked, body: body[: len(body) // 2] if asked.page >= 2 else body
    with pytest.raises(MachineError):
        reader.read(bucket.settings())


def test_an_object_that_goes_between_listing_and_reading_is_removed_and_told(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)

    def go(asked: Asked) -> None:
        if asked.key == "docs/page-11.txt":
            bucket.delete("docs/page-11.txt")

    bucket.answer = go
    del texts["page-11.txt"]
    assert reader.texts(bucket.settings()) == texts
    assert reader.told(Kind.SKIPPED) == {WENT: 1}
    assert bucket.counts["list"] == 6  # it was listed again, and was not there
    assert not reader.bad


def test_what_is_listed_and_never_there_is_a_bad_row(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    bucket.answer = on("get", NO_KEY, key="docs/page-11.txt")  # type: ignore[assignment]
    del texts["page-11.txt"]
    assert reader.texts(bucket.settings()) == texts
    assert [(row.file, row.reason) for row in reader.bad] == [("page-11.txt", GONE)]
    bucket.answer = lambda _asked: None
    assert "page-11.txt" in reader.texts(bucket.settings())  # it is looked for again


def test_an_object_that_is_written_anew_meanwhile_comes_as_it_is_then(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    texts["page-11.txt"] = "# Later"

    def write(asked: Asked) -> None:
        if asked.key == "docs/page-11.txt" and bucket.counts["get"] <= PAGES:
            bucket.put("docs/page-11.txt", "# Later")

    bucket.answer = write
    assert reader.texts(bucket.settings()) == texts
    bucket.counts.clear()
    bucket.answer = lambda _asked: None
    assert reader.texts(bucket.settings()) == texts
    assert bucket.counts["get"] == 0  # it is kept as what it is


def test_a_token_that_expires_among_objects_loses_nothing_that_came(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    bucket.answer = lambda asked: EXPIRED if asked.what == "get" and bucket.counts["get"] > 6 else None
    with pytest.raises(MachineError, match="these credentials no more"):
        reader.read(bucket.settings())
    bucket.answer = lambda _asked: None
    bucket.counts.clear()
    assert reader.texts(bucket.settings()) == texts
    assert 0 < bucket.counts["get"] < PAGES


def test_an_object_that_may_not_be_read_ends_the_night_and_is_no_deletion(bucket: Watched, reader: Reader) -> None:
    filled(bucket)
    reader.texts(bucket.settings())
    bucket.put("docs/page-03.txt", "# Changed")
    bucket.answer = on("get", DENIED, key="docs/page-03.txt")  # type: ignore[assignment]
    with pytest.raises(InputError, match="may not be read"):
        reader.read(bucket.settings())


def test_an_object_in_an_archive_is_a_bad_row(bucket: Watched, reader: Reader) -> None:
    filled(bucket)
    bucket.answer = on("get", ARCHIVED, key="docs/page-03.txt")  # type: ignore[assignment]
    assert len(reader.read(bucket.settings())) == PAGES - 1
    assert "archive" in reader.bad[0].reason


def test_a_copy_that_is_gone_or_cut_is_fetched_again(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    reader.texts(bucket.settings())
    first, second, *_ = sorted((reader.folder / "sources").rglob("*.txt"))
    first.unlink()
    second.write_text("cut")
    bucket.counts.clear()
    assert reader.texts(bucket.settings()) == texts
    assert bucket.counts["get"] == 2


def test_an_index_that_is_damaged_is_made_again(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    reader.texts(bucket.settings())
    [index] = (reader.folder / "sources").rglob("index.sqlite")
    index.write_bytes(b"no database at all" * 100)
    assert reader.texts(bucket.settings()) == texts


def test_an_index_that_is_damaged_within_is_removed_and_made_again(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    reader.texts(bucket.settings())
    [index] = (reader.folder / "sources").rglob("index.sqlite")
    data = index.read_bytes()
    index.write_bytes(data[:4096] + b"\x55" * (len(data) - 4096))
    with pytest.raises(MachineError, match="was damaged and has been removed"):
        reader.read(bucket.settings())
    assert reader.texts(bucket.settings()) == texts


def test_nothing_is_kept_of_what_is_taken_down(bucket: Watched, reader: Reader) -> None:
    filled(bucket)
    bucket.put("docs/page-03.txt", "# Secret of somebody")
    assert len(reader.read(bucket.settings(), retracted={"page-03.txt"})) == PAGES  # who reads leaves it out
    bucket.counts.clear()
    held = b"".join(path.read_bytes() for path in (reader.folder / "sources").rglob("*") if path.is_file())
    assert b"Secret of somebody" not in held
    reader.read(bucket.settings(), retracted={"page-03.txt"})
    assert bucket.counts["get"] == 1


def test_a_source_that_is_named_no_more_is_not_kept(bucket: Watched, reader: Reader) -> None:
    filled(bucket)
    bucket.put("other/a.txt", "# A")
    reader.read(bucket.settings())
    reader.read(bucket.settings("other/"))
    assert [path.name for path in (reader.folder / "sources").rglob("*.txt")] != []
    assert len(list((reader.folder / "sources").iterdir())) == 1
    (reader.folder / "here.txt").write_text("A file here")
    reader.read(DocumentsSettings(source="here.txt"))
    assert not list((reader.folder / "sources").iterdir())


def test_folders_of_a_users_own_beside_what_is_kept_stay(bucket: Watched, reader: Reader) -> None:
    own = reader.folder / "sources" / "guide" / "a.md"
    own.parent.mkdir(parents=True)
    own.write_text("# A guide")
    (reader.folder / "sources" / ".git").mkdir()
    assert set(reader.texts(DocumentsSettings(source="sources"))) == {"guide/a.md"}
    filled(bucket)
    reader.read(bucket.settings())
    assert newest_kept(reader.folder / "sources") is not None
    forget_places(reader.folder / "sources")
    assert sorted(path.name for path in (reader.folder / "sources").rglob("*")) == [".git", "a.md", "guide"]


def test_what_is_kept_is_lent_unless_it_is_damaged(bucket: Watched, reader: Reader, tmp_path: Path) -> None:
    filled(bucket)
    reader.read(bucket.settings())
    lend_kept(reader.folder / "sources", tmp_path / "lent")
    assert len([path for path in (tmp_path / "lent").rglob("*.txt") if path.is_symlink()]) == PAGES
    [index] = (reader.folder / "sources").rglob("index.sqlite")
    index.write_bytes(b"no database at all" * 100)
    lend_kept(reader.folder / "sources", tmp_path / "again")
    assert not list((tmp_path / "again").rglob("*.txt"))


def test_a_workspace_in_the_same_bucket_is_none_of_the_source(bucket: Watched, reader: Reader) -> None:
    bucket.put("docs/a.txt", "# A")
    bucket.put("docs/nights/releases/1/notes.txt", "# Not this")
    found = reader.read(bucket.settings(), workspace=f"s3://{bucket.name}/docs/nights")
    assert [document.document_id for document in found] == ["a.txt"]


def test_one_object_is_a_source(bucket: Watched, reader: Reader, tmp_path: Path) -> None:
    rows = b"id,title,text\n1,One,Two\n"
    bucket.put("docs/rows.csv", rows)
    (tmp_path / "rows.csv").write_bytes(rows)
    [expected] = reader.read(DocumentsSettings(source="rows.csv"))
    [found] = reader.read(bucket.settings("docs/rows.csv"))
    assert (found.document_id, found.title, found.text) == (expected.document_id, expected.title, expected.text)
    bucket.counts.clear()
    reader.read(bucket.settings("docs/rows.csv"))
    assert bucket.counts == {"head": 1}
    bucket.delete("docs/rows.csv")
    with pytest.raises(InputError, match="does not exist"):
        reader.read(bucket.settings("docs/rows.csv"))


def test_a_prefix_without_documents_is_told(bucket: Watched, reader: Reader) -> None:
    with pytest.raises(InputError, match="no file at all"):
        reader.read(bucket.settings("nothing/"))


def test_a_bucket_that_is_not_there_names_the_setting(bucket: Watched, reader: Reader) -> None:
    settings = bucket.settings().model_copy(update={"source": "s3://no-such-bucket/docs/"})
    with pytest.raises(InputError) as raised:
        reader.read(settings)
    assert "[documents].source" in raised.value.remedy


def test_a_key_that_is_no_path_is_told(bucket: Watched, reader: Reader) -> None:
    texts = filled(bucket)
    for key in ("a/../b.txt", "a//b.txt", "page-00.txt//", "page-03/./x.txt"):
        bucket.put(f"docs/{key}", "Odd")
    for _ in range(2):
        assert reader.texts(bucket.settings()) == texts
        assert [row.file for row in reader.bad] == ["a//b.txt", "a/../b.txt", "page-03/./x.txt"]
        assert all("its key is no path" in row.reason for row in reader.bad)
    bucket.delete("docs/page-05.txt")
    del texts["page-05.txt"]
    assert reader.texts(bucket.settings()) == texts


def test_a_sample_fetches_no_more_than_it_reads(bucket: Watched, reader: Reader) -> None:
    filled(bucket)
    assert len(reader.read(bucket.settings(), sample=5)) == 5
    assert bucket.counts["get"] == 5


@pytest.mark.parametrize("source", ["s3://", "gs:///", "az://"])
def test_an_address_without_a_bucket_is_told(source: str, reader: Reader) -> None:
    with pytest.raises(InputError, match="names no bucket"):
        reader.read(DocumentsSettings(source=source))
