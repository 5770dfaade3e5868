from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.settings_file import find_settings_file, load_settings, read_settings
from nightrank.storage.errors import InputError
from nightrank.tasks.settings.former_names import FORMER_NAMES
from nightrank.tasks.settings.ranking import RetrievalSettings
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

LEAST = '[documents]\nsource = "corpus.jsonl"\n[queries]\nlog = "queries.jsonl"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complaint(folder: Path, text: str) -> InputError:
    path = folder / "nightrank.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_settings(path)
    assert "nightrank.toml" in caught.value.message
    assert caught.value.exit_code == 2
    return caught.value


def test_the_least_file_has_the_defaults_and_paths_beside_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.toml").write_text(LEAST)
    found = load_settings(tmp_path / "deep" / "mine.toml")
    assert found.settings == Settings.model_validate(tomllib.loads(LEAST))
    assert found.base == tmp_path / "deep"
    assert found.workspace.root == tmp_path / "deep" / "workspace"


def test_a_workspace_may_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "nightrank.toml").write_text(f'workspace = "/elsewhere"\n{LEAST}')
    assert load_settings(tmp_path / "nightrank.toml").workspace.root == Path("/elsewhere")


@pytest.mark.parametrize(
    ("text", "name", "remedy"),
    [
        (f"[embeder]\n{LEAST}", "unknown setting embeder.", "Did you mean `embedder`?"),
        (f'work_space = "w"\n{LEAST}', "unknown setting work_space.", "Did you mean `workspace`?"),
        (f"{LEAST}[bm25]\nvarient = 'lucene'\n", "unknown setting [bm25].varient.", "Did you mean `variant`?"),
        (f"{LEAST}[results]\ndept = 3\n", "unknown setting [results].dept.", "Did you mean `depth`?"),
        (f"{LEAST}budjet = 3\n", "unknown setting [queries].budjet.", "Did you mean `budget`?"),
        (
            f"{LEAST}[bm25]\nzzz = 1\n",
            "unknown setting [bm25].zzz.",
            "Known here: variant, k1, b, language, stop_words, fold_accents, fields.",
        ),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_is_named(tmp_path: Path, text: str, name: str, remedy: str) -> None:
    error = complaint(tmp_path, text)
    assert error.message.endswith(name)
    assert error.remedy == remedy


@pytest.mark.parametrize("former", FORMER_NAMES)
def test_a_key_by_its_former_name_is_refused_and_its_name_now_is_named(tmp_path: Path, former: tuple[str, ...]) -> None:
    *sections, key = former
    lines = LEAST.splitlines()
    if not sections:
        lines += [f"[{key}]", "sample = 3"]
    elif f"[{sections[0]}]" in lines:
        lines.insert(lines.index(f"[{sections[0]}]") + 1, f"{key} = 1")
    else:
        lines += [f"[{'.'.join(sections)}]", f"{key} = 1"]
    error = complaint(tmp_path, "\n".join(lines) + "\n")
    assert "unknown setting" in error.message
    assert error.remedy == f"It is called {FORMER_NAMES[former]} now."
    place, _, name = FORMER_NAMES[former].partition("].")
    section: type[BaseModel] = Settings
    for part in place.strip("[]").split("."):
        found = section.model_fields[part].annotation
        assert isinstance(found, type)
        section = found
    assert not name or name in section.model_fields  # the name that is given is one


SWITCHED_OFF = [
    ("queries", "half_life_days", "0.0"),
    ("queries", "max_per_minute", "0"),
    ("evaluation", "timed_queries", "0"),
    ("gates", "margin", "1.0"),
    ("gates", "min_overlap", "0.0"),
    ("gates", "max_top1_changed", "1.0"),
    ("gates", "min_kept", "0.0"),
    ("gates", "max_text_lost", "1.0"),
    ("gates", "max_empty", "1.0"),
    ("gates", "min_judged", "0.0"),
    ("gates", "min_coverage", "0.0"),
    ("gates", "max_source_age_days", "0"),
    ("drift_check", "sample", "0"),
    ("results", "near_duplicate", "0.0"),
    ("schedule", "evaluate", '"off"'),
]


@pytest.mark.parametrize(("section", "key", "was"), SWITCHED_OFF)
def test_off_is_written_none_and_in_no_other_way(tmp_path: Path, section: str, key: str, was: str) -> None:
    def text(value: str) -> str:
        place = f"[{section}]\n"
        return (
            LEAST.replace(place, f"{place}{key} = {value}\n") if place in LEAST else f"{LEAST}{place}{key} = {value}\n"
        )

    (tmp_path / "nightrank.toml").write_text(text('"none"'))
    settings = read_settings(tmp_path / "nightrank.toml")
    assert getattr(getattr(settings, section), key) is None
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings  # as a manifest gives it back
    error = complaint(tmp_path, text(was))
    assert f"[{section}].{key}" in error.message
    assert error.remedy == 'Correct it, or write "none" to switch it off.'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "the setting documents is missing"),
        ('[documents]\n[queries]\nlog = "a"\n', "the setting [documents].source is missing"),
    ],
)
def test_a_key_without_a_default_must_be_there(tmp_path: Path, text: str, name: str) -> None:
    assert name in complaint(tmp_path, text).message


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("retrieval", "candidate_depth", '"100"'),
        ("retrieval", "candidate_depth", "100.0"),
        ("retrieval", "candidate_depth", "true"),
        ("retrieval", "candidate_depth", "0"),
        ("retrieval", "candidate_depth", "10001"),
        ("retrieval", "rrf_k", "0"),
        ("retrieval", "legs", "[]"),
        ("retrieval", "legs", '["bm25", "dense", "bm25"]'),
        ("retrieval", "dense_run", '"d.run"\nlegs = ["bm25"]'),
        ("retrieval", "weights", "{ bm25 = 0.5 }"),
        ("retrieval", "weights", "{ bm25 = 0, dense = 0, sparse = 1 }"),
        ("retrieval", "weights", "0.5"),
        ("reranker", "weight", "nan"),
        ("retrieval", "fusion", '"RRF"'),
        ("bm25", "k1", "inf"),
        ("bm25", "k1", '"1.2"'),
        ("bm25", "b", "-0.1"),
        ("bm25", "stop_words", "1"),
        ("bm25", "variant", '"bm25"'),
        ("embedder", "model", '""'),
        ("embedder", "model", "7"),
        ("embedder", "sha256", '"abc"'),
        ("reranker", "weight", "2"),
        ("reranker", "max_tokens", "8"),
        ("results", "mmr_lambda", "1.1"),
        ("results", "mmr_pool", "0"),
        ("results", "near_duplicate", "0.0"),
        ("results", "unit", '"page"'),
        ("execution", "device", '"gpu"'),
        ("execution", "device", '"cuda:x"'),
        ("execution", "threads", "0"),
        ("judgments", "qrels", "[]"),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_refused_by_name(
    tmp_path: Path, section: str, key: str, value: str
) -> None:
    error = complaint(tmp_path, f"{LEAST}[{section}]\n{key} = {value}\n")
    assert f"[{section}].{key} = " in error.message
    assert error.remedy


def test_a_section_that_is_no_section_is_refused(tmp_path: Path) -> None:
    assert "embedder = 'minilm' is wrong" in complaint(tmp_path, f"embedder = 'minilm'\n{LEAST}").message


def test_a_whole_number_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "nightrank.toml").write_text(
        f"{LEAST}[bm25]\nk1 = 1\n[reranker]\nweight = 1\n[results]\nmmr_lambda = 1\n"
    )
    settings = load_settings(tmp_path / "nightrank.toml").settings
    assert (settings.bm25.k1, settings.reranker.weight) == (1.0, 1.0)


def test_the_order_of_legs_says_nothing_and_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nightrank.toml").write_text(f'{LEAST}[retrieval]\nlegs = ["dense", "bm25"]\n')
    written, default = read_settings(tmp_path / "nightrank.toml"), RetrievalSettings()
    assert written.retrieval == default
    assert [*default.leg_weights.items()] == [("bm25", 0.5), ("dense", 0.5)]
    error = complaint(tmp_path, f'{LEAST}[retrieval]\nlegs = ["dense", "splade"]\n')
    assert "[retrieval].legs" in error.message
    assert "'bm25', 'dense' or 'sparse'" in error.message


def test_weights_are_parts_of_the_legs_that_are_on(tmp_path: Path) -> None:
    text = f"{LEAST}[retrieval]\nweights = {{ bm25 = 1, dense = 3, sparse = 4 }}\n"
    (tmp_path / "nightrank.toml").write_text(text)
    assert read_settings(tmp_path / "nightrank.toml").retrieval.leg_weights == {"bm25": 0.25, "dense": 0.75}
    (tmp_path / "nightrank.toml").write_text(f'{text}legs = ["dense", "sparse"]\nsparse_run = "s.run"\n')
    assert read_settings(tmp_path / "nightrank.toml").retrieval.leg_weights == {"dense": 3 / 7, "sparse": 4 / 7}


def test_a_missing_file_is_an_error_and_never_the_defaults(here: Path) -> None:
    with pytest.raises(InputError, match=r"no settings file absent\.toml"):
        load_settings(Path("absent.toml"))
    with pytest.raises(InputError, match=r"no settings file absent\.toml"):
        load_settings(find_settings_file(Path("absent.toml")))
    with pytest.raises(InputError, match=r"There is no nightrank\.toml in") as caught:
        find_settings_file(None)
    assert "nightrank demo" in caught.value.remedy


def test_the_file_here_goes_before_the_demos(here: Path) -> None:
    demo = here / "nightrank-demo" / "nightrank.toml"
    demo.parent.mkdir()
    demo.write_text(LEAST)
    assert find_settings_file(None) == Path("nightrank-demo/nightrank.toml")
    (here / "nightrank.toml").write_text(LEAST)
    assert find_settings_file(None) == Path("nightrank.toml")


@pytest.mark.parametrize("content", [b"[documents", b"a = 1\na = 2\n", b"= 1"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "nightrank.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"nightrank\.toml is not valid TOML"):
        load_settings(tmp_path / "nightrank.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "nightrank.toml").write_bytes(b"workspace = '\xff'")
    for path in (tmp_path / "nightrank.toml", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_settings(path)


@pytest.mark.parametrize("section", ["storage", "documents.store"])
@pytest.mark.parametrize(
    "endpoint", ["http://key:hush@minio:9000", "http://minio:9000/?token=hush", "https://minio/#hush", "minio hush"]
)
def test_an_address_of_a_store_holds_no_secret_and_is_not_shown(tmp_path: Path, section: str, endpoint: str) -> None:
    found = complaint(tmp_path, f"{LEAST}[{section}]\nendpoint = {endpoint!r}\n")
    assert "endpoint" in found.message
    assert "hush" not in f"{found.message}{found.remedy}"


def test_an_address_of_a_store_may_have_a_port_and_a_path(tmp_path: Path) -> None:
    for endpoint in ("http://minio:9000", "https://s3.example.org/", "http://[::1]:9000/store"):
        (tmp_path / "nightrank.toml").write_text(f"{LEAST}[documents.store]\nendpoint = {endpoint!r}\n")
        assert read_settings(tmp_path / "nightrank.toml").documents.store.endpoint == endpoint
