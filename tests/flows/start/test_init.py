"""``nightrank init``: what is found where somebody stands, what is asked, and what is written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightrank.flows.settings_file import read_settings
from nightrank.flows.start.find import as_source
from nightrank.flows.start.init import initialise
from nightrank.flows.start.propose import Setting
from nightrank.flows.start.write import as_toml, write_settings
from nightrank.storage.errors import InputError
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from tests.conftest import Command

KNOWN_ITEMS = {"known_items": 50}  # where nobody judged and a reranker takes its time
ENGLISH = "Bees carry nectar home, and they dry it with their wings until it is honey."
GERMAN = "Die Bienen tragen den Nektar nach Hause, und sie trocknen ihn mit den Flügeln, bis er Honig ist."
FRENCH = "Les abeilles portent le nectar à la ruche, et elles le sèchent avec leurs ailes pour en faire du miel."


def written(folder: Path) -> dict[str, dict[str, object]]:
    """What a settings file says, read back as every command reads it."""
    path = folder / "nightrank.toml"
    read_settings(path)
    return tomllib.loads(path.read_text(encoding="utf-8"))


def pages(folder: Path, *texts: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"page{number}.md").write_text(f"# Page {number}\n\n{text}\n", encoding="utf-8")


def beir(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{number}", "title": f"Bees {number}", "text": ENGLISH} for number in range(4)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    queries = [{"_id": f"q{number}", "text": f"how bees make honey {number}"} for number in range(3)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries), encoding="utf-8")
    for split in ("train", "test"):
        judged = f"query-id\tcorpus-id\tscore\nq{1 if split == 'test' else 2}\td1\t1\n"
        (folder / "qrels" / f"{split}.tsv").write_text(judged, encoding="utf-8")


class Answers:
    """Somebody who answers in turn; with nothing where the default is taken."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.questions, self.complaints = list(answers), list[tuple[str, str]](), list[str]()

    def __call__(self, question: str, *, default: str, choices: tuple[str, ...] = ()) -> str:
        self.questions.append((question, default))
        answer = self.answers.pop(0) or default
        assert not choices or answer in choices
        return answer

    def complain(self, error: InputError) -> None:
        self.complaints.append(error.message)


def test_a_folder_of_pages_is_all_that_is_needed(
    tmp_path: Path, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages(tmp_path / "docs", ENGLISH, ENGLISH)
    (tmp_path / "README.md").write_text("# Not the collection\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ended = nightrank("init", "--yes")
    assert ended.code == 0
    assert written(tmp_path) == {
        "documents": {"source": "docs"},
        "queries": {"budget_seconds": 180.0},
        "judgments": KNOWN_ITEMS,
    }
    assert "No query log" in (tmp_path / "nightrank.toml").read_text(encoding="utf-8")
    assert "nightrank refresh" in ended.out
    assert [*tmp_path.glob(".*")] == []


@pytest.mark.parametrize(("read", "told"), [(40, None), (10, "6 of 16 documents were skipped")])
def test_few_pages_that_are_skipped_are_no_mistake_and_many_are_told(
    tmp_path: Path, read: int, told: str | None
) -> None:
    pages(tmp_path / "docs", *[ENGLISH] * read)
    for number in range(6):
        (tmp_path / "docs" / f"draft{number}.md").write_text(f"---\ndraft: true\n---\n{ENGLISH}\n", encoding="utf-8")
    warnings = initialise(tmp_path, "docs", ask=None).warnings
    assert [warning for warning in warnings if told is None or told not in warning] == []
    assert len(warnings) == (told is not None)


def test_titles_without_a_text_are_told(tmp_path: Path) -> None:
    rows = [{"id": f"d{number}", "title": f"Bees {number}", "text": ""} for number in range(9)]
    (tmp_path / "bees.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (warning,) = initialise(tmp_path, "bees.jsonl", ask=None).warnings
    assert "9 of 9 documents have a title and no text" in warning


def test_a_settings_file_that_is_there_stays(
    tmp_path: Path, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages(tmp_path / "docs", ENGLISH)
    (tmp_path / "nightrank.toml").write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ended = nightrank("init", "--yes")
    assert (ended.code, (tmp_path / "nightrank.toml").read_text(encoding="utf-8")) == (2, "mine")
    assert "is there already" in ended.err
    with pytest.raises(InputError, match="is there already"):
        write_settings(tmp_path / "nightrank.toml", "yours")  # one that appears while it is looked around
    assert (tmp_path / "nightrank.toml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("inside", ["", "data"])
def test_a_folder_in_beir_s_layout_has_its_queries_and_judgments(tmp_path: Path, inside: str) -> None:
    beir(tmp_path / inside)
    done = initialise(tmp_path, None, ask=None)
    at = f"{inside}/" if inside else ""
    assert written(tmp_path) == {
        "documents": {"source": inside or "corpus.jsonl"},
        "queries": {"log": f"{at}queries.jsonl", "from_documents": 200, "budget_seconds": 180.0},
        "judgments": {"qrels": f"{at}qrels/test.tsv"},
    }
    assert done.seen.documents.count == 4


def test_a_long_log_gets_no_queries_of_the_documents(tmp_path: Path) -> None:
    pages(tmp_path / "docs", ENGLISH)
    log = tmp_path / "searches.csv"
    log.write_text("query,count\n" + "".join(f"bees {number},2\n" for number in range(400)), encoding="utf-8")
    initialise(tmp_path, "docs", ask=None)
    assert written(tmp_path)["queries"] == {"log": "searches.csv", "budget_seconds": 180.0}


@pytest.mark.parametrize("name", ["research.txt", "git-log.txt", "log.txt", "search-guide.txt", "inquiry.txt"])
def test_a_page_is_no_log_whatever_it_is_about(tmp_path: Path, name: str) -> None:
    for number in range(3):
        (tmp_path / f"page{number}.txt").write_text(f"{ENGLISH}\n{number}\n", encoding="utf-8")
    (tmp_path / name).write_text(f"{ENGLISH}\nA second line.\n", encoding="utf-8")
    found = initialise(tmp_path, None, ask=None)
    assert (found.seen.log, found.seen.documents.count) == (None, 4)


def test_a_table_of_research_is_documents_and_a_text_of_queries_a_log(tmp_path: Path) -> None:
    rows = "".join(f"{number},Bees {number},{ENGLISH.replace(',', '')}\n" for number in range(3))
    (tmp_path / "research.csv").write_text(f"id,title,text\n{rows}", encoding="utf-8")
    (tmp_path / "user_queries.txt").write_text("honey\nhow bees fly\n", encoding="utf-8")
    initialise(tmp_path, None, ask=None)
    said = written(tmp_path)
    assert (said["documents"]["source"], said["queries"]["log"]) == ("research.csv", "user_queries.txt")


def test_judgments_of_other_queries_or_documents_are_not_taken(tmp_path: Path) -> None:
    beir(tmp_path)
    (tmp_path / "queries.jsonl").write_text('{"_id": "other", "text": "tea"}\n', encoding="utf-8")
    initialise(tmp_path, None, ask=None)
    assert written(tmp_path)["judgments"] == KNOWN_ITEMS


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            [GERMAN] * 4,
            {"bm25": {"language": "german"}, "retrieval": {"legs": ["bm25"]}, "reranker": {"model": "none"}},
        ),
        ([GERMAN, FRENCH, FRENCH], {"retrieval": {"legs": ["bm25"]}, "reranker": {"model": "none"}}),
        ([ENGLISH, ENGLISH, FRENCH], {"embedder": {}, "judgments": KNOWN_ITEMS}),
        (["天気予報を見る。東京の天気。"] * 3, {"retrieval": {"legs": ["bm25"]}, "reranker": {"model": "none"}}),
        ([ENGLISH] * 3, {"judgments": KNOWN_ITEMS}),
        (["12 34"] * 3, {"judgments": KNOWN_ITEMS}),
    ],
)
def test_what_the_packaged_models_do_not_know_they_are_not_asked(
    texts: list[str], expected: dict[str, object], tmp_path: Path
) -> None:
    pages(tmp_path / "docs", *texts)
    initialise(tmp_path, None, ask=None)
    found = written(tmp_path)
    assert {name: section for name, section in found.items() if name not in {"documents", "queries"}} == expected


def test_somebody_is_asked_with_what_was_found_and_again_where_an_answer_is_none(tmp_path: Path) -> None:
    pages(tmp_path / "docs", GERMAN)
    pages(tmp_path / "other", GERMAN)
    (tmp_path / "queries.txt").write_text("honig\nbienen\n", encoding="utf-8")
    answers = Answers("nowhere", "other", "", "none", "multilingual")
    initialise(tmp_path, None, ask=answers)
    assert [default for _, default in answers.questions] == ["docs", "docs", "queries.txt", "none", "bm25"]
    assert "nowhere does not exist" in answers.complaints[0]
    found = written(tmp_path)
    assert (found["documents"], found["queries"]["log"]) == ({"source": "other"}, "queries.txt")
    assert found["reranker"] == {"model": "BAAI/bge-reranker-v2-m3", "depth": 20}


def test_where_nothing_can_be_read_the_error_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="nothing") as caught:
        initialise(tmp_path, None, ask=None)
    assert "nightrank init SOURCE" in caught.value.remedy
    assert not (tmp_path / "nightrank.toml").exists()
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    for source in ("odd.csv", str(tmp_path / "nowhere")):
        with pytest.raises(InputError) as caught:
            initialise(tmp_path, source, ask=None)
        assert "nightrank init SOURCE" in caught.value.remedy
        assert "settings file" not in caught.value.remedy  # there is none


@pytest.mark.parametrize("scheme", ["s3", "postgresql"])
def test_an_address_is_refused_without_its_password(tmp_path: Path, scheme: str) -> None:
    with pytest.raises(InputError) as caught:
        initialise(tmp_path, f"{scheme}://user:S3CR3T@host/name", ask=None)
    assert "holds a password" in caught.value.message
    assert "S3CR3T" not in str(caught.value) + caught.value.remedy


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in {".", ".."}
)


@given(source=NAMES, log=NAMES, why=st.text(max_size=200))
@example(source="none", log="none", why="# ]\n\x1b[2J")
@example(source='a"\\b\n\x7f', log="'''", why='"""')
@settings(max_examples=200)
def test_whatever_files_are_called_what_is_written_is_read_back(source: str, log: str, why: str) -> None:
    names = [f"./{name}" if name == "none" else name for name in (source, log)]
    proposed = [Setting("documents", "source", names[0], why), Setting("queries", "log", names[1], why)]
    proposed += [Setting("queries", "budget_seconds", 300.0, why), Setting("retrieval", "legs", ["bm25"], why)]
    read = Settings.model_validate(tomllib.loads(as_toml([*proposed, Setting("embedder", None, None, why)])))
    assert (read.documents.source, read.queries.log) == tuple(names)
    assert read.retrieval.legs == ("bm25",)


def test_a_name_that_is_no_text_ends_in_an_error_and_no_file() -> None:
    with pytest.raises(InputError, match="cannot be written"):
        as_toml([Setting("documents", "source", "caf\udce9", "")])


def test_a_file_that_is_called_like_a_word_of_the_settings_is_no_word(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert as_source(tmp_path, "none") == "./none"
    assert as_source(tmp_path, "docs") == "docs"
    assert as_source(tmp_path, str(tmp_path / "docs")) == "docs"
    assert as_source(tmp_path, "ir_datasets:beir/scifact/test") == "ir_datasets:beir/scifact/test"
    assert Path(as_source(tmp_path, "/elsewhere/docs")).is_absolute()


def test_scripts_get_one_object(tmp_path: Path, nightrank: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    beir(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = nightrank("init", "--json").json
    assert found["documents"] == {
        "source": "corpus.jsonl",
        "documents": 4,
        "is_whole": True,
        "languages": {"english": 4},
    }
    assert found["queries"] == {"log": "queries.jsonl", "rows": 3, "distinct": 3}
    assert found["judgments"]["queries"] == 1
    assert {(one["section"], one["key"]) for one in found["settings"]} >= {
        ("documents", "source"),
        ("judgments", "qrels"),
    }
