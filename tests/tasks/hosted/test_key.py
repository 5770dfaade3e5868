from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from nightrank.storage.release.manifest import settings_as_json
from nightrank.tasks.hosted.key import read_key, without_key_place
from nightrank.tasks.settings.ranking import HostedSettings
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from pathlib import Path

COULD_BE_A_KEY = "AK_0123456789ABCDEF"


def test_a_variable_that_is_not_there_is_told_without_what_could_be_a_key() -> None:
    with pytest.raises(InputError, match=r"\[reranker.hosted\].api_key_env names is not there") as failure:
        read_key(HostedSettings(api="cohere", api_key_env=COULD_BE_A_KEY), section="[reranker.hosted]")
    assert COULD_BE_A_KEY not in f"{failure.value} {failure.value.remedy}"


@pytest.mark.parametrize("held", ["", "two words", "Schlüssel"])
def test_what_a_variable_holds_is_never_told(held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_KEY", held)
    with pytest.raises(InputError, match="cannot be the key") as failure:
        read_key(HostedSettings(api="cohere", api_key_env="RERANK_KEY"), section="[reranker.hosted]")
    assert not held or held not in f"{failure.value} {failure.value.remedy}"


def test_settings_are_stored_without_the_place_of_the_key() -> None:
    hosted = {"api": "cohere", "api_key_env": COULD_BE_A_KEY, "api_key_block": "a-block", "max_pairs": 7}
    whole = {"documents": {"source": "a"}, "queries": {"log": "b"}, "reranker": {"depth": 9, "hosted": hosted}}
    settings = Settings.model_validate(whole)

    stored = without_key_place(settings)

    reported = str(settings_as_json(stored))
    assert COULD_BE_A_KEY not in reported
    assert "a-block" not in reported
    hosted |= {"api_key_env": None, "api_key_block": None}
    assert stored == Settings.model_validate(whole)


@pytest.mark.parametrize("line", ['api_key_env = ["{key}"]', 'key = "{key}"', 'corpus = "{key} "', 'api = "{key}"'])
def test_a_key_in_a_wrong_place_of_the_settings_file_is_not_told(line: str, tmp_path: Path) -> None:
    path = tmp_path / "nightrank.toml"
    tables = '[documents]\nsource = "a"\n[queries]\nlog = "b"\n[reranker.hosted]\n'
    path.write_text(tables + line.format(key=COULD_BE_A_KEY) + "\n")
    with pytest.raises(InputError, match="hosted") as failure:
        load_settings(path)
    assert COULD_BE_A_KEY not in f"{failure.value} {failure.value.remedy}"
