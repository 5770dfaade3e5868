"""Public models by their shape: what a network costs depends on it, and not on what its weights have learnt.

Where no hub is at hand, a model of the same shape with random weights is as fast as the public one. Shapes are those of
the models' own configurations; the tokenizer, and so the number of tokens of a text, is the packaged model's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from benchmarks.inputs.tiny_models import copy_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Kind: TypeAlias = Literal["reranker", "embedder", "sparse"]
Architecture: TypeAlias = Literal["bert", "xlm-roberta", "modernbert", "qwen2", "qwen3"]

GATED: set[Architecture] = {"modernbert", "qwen2", "qwen3"}
DECODERS: set[Architecture] = {"qwen2", "qwen3"}
VOCABULARY = 30_522  # of the packaged tokenizer; what is looked up in a larger table costs the same


@dataclass(frozen=True, slots=True)
class Shape:
    """A network.

    Attributes:
        name: Its hub id.
        inner: Width of the feed-forward part.
        key_values: Width of keys and of values, where it is another one than ``width``.
        vocabulary_head: Whether every token is scored against the vocabulary, as SPLADE does.
    """

    name: str
    kind: Kind
    architecture: Architecture
    layers: int
    width: int
    inner: int
    heads: int
    key_values: int | None = None
    vocabulary_head: bool = False

    def operations(self, lengths: NDArray[np.integer]) -> float:
        """Multiplications and additions for sequences without padding.

        A product of a vector with a matrix of a rows and b columns counts 2ab. Attention is counted as if every layer
        attended to everything.

        Args:
            lengths: (n,), their tokens.
        """
        tokens, squares = float(lengths.sum()), float((lengths.astype(np.float64) ** 2).sum())
        attention = 4 * self.width**2 + 4 * self.width * (self.key_values or self.width)
        matrices = 3 if self.architecture in GATED else 2  # of the feed-forward part
        layer = tokens * (attention + 2 * matrices * self.width * self.inner) + squares * 4 * self.width
        head = tokens * 2 * (self.width**2 + self.width * VOCABULARY) if self.vocabulary_head else 0.0
        return self.layers * layer + head


SHAPES = (
    Shape("cross-encoder/ettin-reranker-17m-v1", "reranker", "modernbert", 7, 256, 384, 4),
    Shape("cross-encoder/ettin-reranker-32m-v1", "reranker", "modernbert", 10, 384, 576, 6),
    Shape("cross-encoder/ettin-reranker-68m-v1", "reranker", "modernbert", 19, 512, 768, 8),
    Shape("cross-encoder/ettin-reranker-150m-v1", "reranker", "modernbert", 22, 768, 1152, 12),
    Shape("BAAI/bge-reranker-v2-m3", "reranker", "xlm-roberta", 24, 1024, 4096, 16),
    Shape("mixedbread-ai/mxbai-rerank-base-v2", "reranker", "qwen2", 24, 896, 4864, 14, key_values=128),
    Shape("mixedbread-ai/mxbai-rerank-large-v2", "reranker", "qwen2", 28, 1536, 8960, 12, key_values=256),
    Shape("BAAI/bge-small-en-v1.5", "embedder", "bert", 12, 384, 1536, 12),
    Shape("BAAI/bge-base-en-v1.5", "embedder", "bert", 12, 768, 3072, 12),
    Shape("intfloat/multilingual-e5-small", "embedder", "bert", 12, 384, 1536, 12),
    Shape("BAAI/bge-m3", "embedder", "xlm-roberta", 24, 1024, 4096, 16),
    Shape("splade-tiny", "sparse", "bert", 2, 128, 512, 2, vocabulary_head=True),  # of the extra `sparse`
    Shape(
        "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill",
        "sparse",
        "bert",
        6,
        768,
        3072,
        12,
        vocabulary_head=True,
    ),
    Shape("naver/splade-v3", "sparse", "bert", 12, 768, 3072, 12, vocabulary_head=True),
)
# A small one of Qwen3-Reranker's kind, which is asked by a chat template.
TINY_DECODER = Shape("tiny-qwen3", "reranker", "qwen3", 6, 256, 768, 4, key_values=128)
CHAT_TEMPLATE = """<|im_start|>system
Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer \
can only be "yes" or "no".<|im_end|>
<|im_start|>user
<Instruct>: {{ messages | selectattr("role", "eq", "system") | map(attribute="content") | first
| default("Given a web search query, retrieve relevant passages that answer the query") }}
<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}
<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}<|im_end|>
<|im_start|>assistant
<think>

</think>

"""
PACKAGED = Shape("packaged", "reranker", "bert", 6, 384, 1536, 12)  # reranker and embedder alike


def save_random(shape: Shape, folder: Path, *, tokenizer: Path | None = None) -> Path:
    """Save a cross-encoder, a dual encoder or a SPLADE encoder of a shape, with random weights.

    Args:
        shape: The shape.
        folder: Must not be there.
        tokenizer: A folder with the packaged embedder's; None: the package.
    """
    import torch

    torch.manual_seed(0)
    copy_tokenizer(folder, source=tokenizer)
    if shape.kind == "embedder":
        _network(shape).save_pretrained(folder)
        pooling = folder / "1_Pooling" / "config.json"
        pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "word_embedding_dimension": shape.width}))
        return folder
    (folder / "modules.json").unlink()
    _network(shape).save_pretrained(folder)
    if shape.architecture == "qwen3":
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    if shape.architecture in GATED:
        _save_modules(shape, folder)
    return folder


def _network(shape: Shape) -> Any:  # noqa: ANN401 (transformers leaves it untyped)
    import torch
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": 514,
        "pad_token_id": 0,
        "bos_token_id": 101,
        "eos_token_id": 102,
    }
    scores = shape.kind == "reranker"
    if shape.vocabulary_head:
        network = transformers.BertForMaskedLM(transformers.BertConfig(**sizes))
        with torch.no_grad():
            network.cls.predictions.decoder.bias.fill_(-2.0)  # a text has few words of the vocabulary, or none
        return network
    if shape.architecture == "bert":
        bert = transformers.BertForSequenceClassification if scores else transformers.BertModel
        return bert(transformers.BertConfig(**{**sizes, "num_labels": 1}))
    if shape.architecture == "xlm-roberta":
        kind = transformers.XLMRobertaForSequenceClassification if scores else transformers.XLMRobertaModel
        return kind(transformers.XLMRobertaConfig(**{**sizes, "num_labels": 1}))
    if shape.architecture == "modernbert":
        ends: dict[str, Any] = {"cls_token_id": 101, "sep_token_id": 102}
        return transformers.ModernBertModel(transformers.ModernBertConfig(**sizes, **ends))
    assert shape.key_values is not None
    sizes["num_key_value_heads"] = shape.heads * shape.key_values // shape.width
    if shape.architecture == "qwen2":
        return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**sizes))
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**sizes, head_dim=shape.width // shape.heads))


def _save_modules(shape: Shape, folder: Path) -> None:
    """Put on a network what makes a score of its states, as the public models have it."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

    if shape.architecture in DECODERS:
        network = Transformer(str(folder), transformer_task="text-generation")
        modules = [network, LogitScore(true_token_id=1, false_token_id=2)]
    else:
        vector = "sentence_embedding"
        first = Dense(
            shape.width, shape.width, bias=False, activation_function=torch.nn.GELU(), module_input_name=vector
        )
        last = Dense(
            shape.width,
            1,
            activation_function=torch.nn.Identity(),
            module_input_name=vector,
            module_output_name="scores",
        )
        network = Transformer(str(folder), transformer_task="feature-extraction")
        modules = [network, Pooling(shape.width, pooling_mode="cls"), first, LayerNorm(shape.width), last]
    CrossEncoder(modules=modules).save_pretrained(str(folder))
