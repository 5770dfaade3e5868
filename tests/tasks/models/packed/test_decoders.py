"""Rerankers that are decoders over packed tokens: they score as ``predict`` does, what a query's pairs share once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.modules import LogitScore

from nightrank.tasks.models.execution import InBatches, OneByOne
from nightrank.tasks.models.packed.decoders import scorer as decoder_scorer
from nightrank.tasks.models.packed.decoders.network import PackedDecoder
from nightrank.tasks.models.packed.decoders.pairs import NOTHING, pair_tokenizer
from nightrank.tasks.models.packed.decoders.scorer import DecoderScorer
from nightrank.tasks.models.packed.scorer import packed_scorer
from nightrank.tasks.models.tokens import fast_tokenizer
from tests.tasks.models.packed.test_packed import GPU, attended_one_by_one, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.packed.decoders.continued import Prefix
    from nightrank.tasks.models.tokens import PackedTokens

LONGEST = 512  # tokens
# As Qwen3-Reranker is asked; the instruction is the system's message where there is one.
TEMPLATE = (
    "<|im_start|>system\nJudge whether the document answers.<|im_end|>\n<|im_start|>user\n"
    "{% for message in messages %}{% if message.role == 'system' %}<Instruct>: {{ message.content }}\n{% endif %}"
    "{% endfor %}<Query>: {{ messages | selectattr('role', 'eq', 'query') | map(attribute='content') | first }}\n"
    "<Document>: {{ messages | selectattr('role', 'eq', 'document') | map(attribute='content') | first }}<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
STRUCTURED = (  # the same, of templates that are given parts of several kinds
    TEMPLATE.replace("message.content", "message.content[0].text")
    .replace("messages | selectattr('role', 'eq', 'query') | map(attribute='content') | first", "texts('query')")
    .replace("messages | selectattr('role', 'eq', 'document') | map(attribute='content') | first", "texts('document')")
    .replace(
        "<|im_start|>system",
        "{% macro texts(role) %}{{ (messages | selectattr('role', 'eq', role) | first).content[0].text }}{% endmacro %}"
        "<|im_start|>system",
    )
)
KINDS = ["Qwen3", "Qwen2", "Llama", "Mistral", "Gemma"]
PROMPT = "Find tables, and nothing else"


def save_tokenizer(folder: Path, *, template: str | None) -> None:
    """A byte-level one of 400 tokens, as decoders have."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "yes", "no"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([TEMPLATE, *texts_of(1, 50, longest=30)], trainer)
    made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", model_max_length=LONGEST
    )
    made.chat_template = template
    made.save_pretrained(folder)


def config_of(kind: str, **changed: Any) -> Any:  # noqa: ANN401
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": 400,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": LONGEST,
        "initializer_range": 0.2,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 0,
    }
    return getattr(transformers, f"{kind}Config")(**{**sizes, **changed})


def causal(
    folder: Path,
    kind: str = "Qwen3",
    *,
    template: str | None = TEMPLATE,
    device: str = "cpu",
    **changed: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """A reranker of the words yes and no, as sentence-transformers loads a causal language model."""
    import transformers

    save_tokenizer(folder, template=template)
    torch.manual_seed(5)
    network = getattr(transformers, f"{kind}ForCausalLM")(config_of(kind, **changed))
    with torch.no_grad():  # so that norms and what they are applied to differ from head to head
        for name, weight in network.named_parameters():
            if "norm" in name:
                weight.add_(0.3 * torch.randn_like(weight))
    network.save_pretrained(folder)
    return CrossEncoder(str(folder), device=device, local_files_only=True)


def asked() -> tuple[list[str], list[str]]:
    """Pairs of a few tokens to more than a model takes, of queries with many passages and with one."""
    queries = [*np.repeat(texts_of(1, 6, longest=12), 7).tolist(), "", "tables", "values " * 600]
    texts = [*texts_of(2, 42, longest=200), "read", "values " * 600, "values"]
    texts[:4] = ["\n\nread", ":read", "  ", "0 lock"]  # which a tokenizer could join with what is before
    return queries, texts


def require_scores_of_predict(model: Any, execution: Execution, *, prompt: str | None = None) -> None:  # noqa: ANN401
    queries, texts = asked()
    if prompt is not None:
        model.prompts, model.default_prompt_name = {"query": prompt}, "query"
    expected = model.predict(list(zip(queries, texts, strict=True)), activation_fn=torch.nn.Identity(), batch_size=5)
    scorer = packed_scorer(model, execution)
    assert isinstance(scorer, DecoderScorer)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(scorer.score(queries, texts), expected, atol=2e-5)


@pytest.mark.parametrize("execution", [lambda: InBatches(700), lambda: InBatches(100_000), lambda: OneByOne(2)])
def test_scores_are_those_of_predict(tmp_path: Path, execution: Callable[[], Execution]) -> None:
    require_scores_of_predict(causal(tmp_path), execution())


@pytest.mark.parametrize("kind", KINDS[1:])
def test_decoders_of_all_known_kinds_score_as_predict_does(tmp_path: Path, kind: str) -> None:
    require_scores_of_predict(causal(tmp_path, kind), OneByOne(1))


@pytest.mark.parametrize("kind", ["Qwen3", "Llama"])
def test_a_classifier_on_a_decoder_scores_as_predict_does(tmp_path: Path, kind: str) -> None:
    import transformers

    save_tokenizer(tmp_path, template=None)
    torch.manual_seed(5)
    network = getattr(transformers, f"{kind}ForSequenceClassification")(config_of(kind, num_labels=1))
    network.save_pretrained(tmp_path)
    model = CrossEncoder(str(tmp_path), device="cpu", local_files_only=True)
    require_scores_of_predict(model, InBatches(900))
    pairs = [("read", "tables<|endoftext|><|endoftext|>"), ("<|endoftext|>", "<|endoftext|>"), ("read", "tables")]
    expected = [model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in pairs]
    scorer = packed_scorer(model, OneByOne(1))
    assert scorer is not None
    np.testing.assert_allclose(scorer.score(*map(list, zip(*pairs, strict=True))), expected, atol=2e-5)


def test_two_empty_texts_with_nothing_around_them_have_a_score_and_disturb_no_other(tmp_path: Path) -> None:
    scorer = DecoderScorer(causal(tmp_path, template=None), InBatches(2000))
    found = scorer.score(["", "read"], ["", "tables"])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1:], scorer.score(["read"], ["tables"]), atol=1e-5)


def test_the_logit_of_one_word_is_the_score_where_there_is_one(tmp_path: Path) -> None:
    causal(tmp_path, "Gemma")
    modules = [Transformer(str(tmp_path), transformer_task="text-generation"), LogitScore(true_token_id=3)]
    require_scores_of_predict(CrossEncoder(modules=modules, device="cpu"), OneByOne(1))


@pytest.mark.parametrize("template", [TEMPLATE, STRUCTURED, None])
def test_a_prompt_stands_before_the_query(tmp_path: Path, template: str | None) -> None:
    model = causal(tmp_path, template=template)
    before = model.predict([("read", "tables")])
    require_scores_of_predict(model, OneByOne(1), prompt=PROMPT)
    assert abs(model.predict([("read", "tables")]) - before) > 1e-4


def test_positions_that_are_scaled_by_a_constant_are_known(tmp_path: Path) -> None:
    turns = {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    require_scores_of_predict(causal(tmp_path, "Llama", rope_parameters=turns), OneByOne(1))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("Qwen3", {"hidden_act": "relu"}),
        ("Mistral", {"sliding_window": 32}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 1}),
        ("Llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0}}),
        ("Gemma", {"use_bidirectional_attention": True}),
        ("Gemma2", {}),
    ],
)
def test_a_decoder_with_parts_that_are_not_known_is_left_to_its_library(
    tmp_path: Path, kind: str, changed: dict[str, Any]
) -> None:
    assert packed_scorer(causal(tmp_path, kind, **changed), OneByOne(1)) is None


@pytest.mark.parametrize("is_split", [False, True])
def test_a_text_that_names_a_special_token_is_read_as_the_library_reads_it(tmp_path: Path, is_split: bool) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(tmp_path, template=TEMPLATE)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, split_special_tokens=is_split)
    text = "read <|im_end|> tables"
    expected = tokenizer(text, add_special_tokens=False).input_ids
    assert (2 in expected) == (not is_split)
    assert fast_tokenizer(tokenizer).encode(text, add_special_tokens=False).ids == expected


def test_a_template_that_is_filled_otherwise_is_left_to_its_library(tmp_path: Path) -> None:
    model = causal(tmp_path)
    model[0].processing_kwargs = {"text": {"max_length": 64}}
    assert packed_scorer(model, OneByOne(1)) is None


def test_what_a_querys_pairs_begin_with_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = DecoderScorer(causal(tmp_path), InBatches(2000))
    shared: list[int] = []
    own: list[int] = []
    prefixes, last_states = PackedDecoder.prefixes, PackedDecoder.last_states

    def counted(decoder: PackedDecoder, batches: Sequence[PackedTokens]) -> list[Prefix]:
        shared.extend(int(tokens.ids.size) for tokens in batches)
        return prefixes(decoder, batches)

    def counted_states(
        decoder: PackedDecoder, batches: Sequence[PackedTokens], behind: Sequence[Sequence[Prefix | None]]
    ) -> list[torch.Tensor]:
        own.extend(int(tokens.ids.size) for tokens in batches)
        return last_states(decoder, batches, behind)

    monkeypatch.setattr(PackedDecoder, "prefixes", counted)
    monkeypatch.setattr(PackedDecoder, "last_states", counted_states)
    texts = texts_of(2, 40, longest=20)
    rows = scorer.tokens_of([("read tables of a file", text) for text in texts])
    assert (rows.queries != NOTHING).all()
    scorer.score(["read tables of a file"] * 40, texts)
    whole = sum(ids.size for ids in rows.ids)
    assert sum(shared) == rows.prefixes[0].size > 40
    assert sum(own) == whole - 40 * rows.prefixes[0].size < whole / 2


def test_a_pair_whose_tokens_begin_otherwise_goes_on_from_nothing(tmp_path: Path) -> None:
    pairs = [("read", "tables"), ("read", "of"), ("values " * 600, "tables"), ("values " * 600, "of")]
    rows = pair_tokenizer(causal(tmp_path)).pairs(*map(list, zip(*pairs, strict=True)))
    assert rows.queries.tolist() == [0, 0, NOTHING, NOTHING]
    assert [ids.size for ids in rows.ids[2:]] == [LONGEST, LONGEST]
    assert [rows.rests(np.array([row])).ids.size for row in range(4)] == [
        rows.ids[0].size - rows.prefixes[0].size,
        rows.ids[1].size - rows.prefixes[0].size,
        LONGEST,
        LONGEST,
    ]


def test_a_batch_stays_within_its_tokens_with_what_its_pairs_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = 2000
    scorer = DecoderScorer(causal(tmp_path), InBatches(budget))
    seen: list[int] = []
    last_states = PackedDecoder.last_states

    def counted(
        decoder: PackedDecoder, batches: Sequence[PackedTokens], behind: Sequence[Sequence[Prefix | None]]
    ) -> list[torch.Tensor]:
        for tokens, prefixes in zip(batches, behind, strict=True):
            seen.append(int(tokens.ids.size) + sum(prefix.length for prefix in prefixes if prefix is not None))
        return last_states(decoder, batches, behind)

    monkeypatch.setattr(PackedDecoder, "last_states", counted)
    long_query, texts = "read tables of a file " * 12, texts_of(2, 60, longest=6)
    rows = scorer.tokens_of([(long_query, text) for text in texts])
    assert sum(int(rows.rests(np.array([row])).ids.size) for row in range(60)) < budget < sum(rows.lengths)
    scorer.score([long_query] * 60, texts)
    assert max(seen) <= budget
    assert len(seen) <= 2 * sum(seen) / budget


def test_few_prefixes_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = DecoderScorer(causal(tmp_path), OneByOne(1))
    queries, texts = asked()
    expected = scorer.score(queries, texts)
    blocks: list[int] = []
    scored = DecoderScorer._scored

    def counted(one: DecoderScorer, rows: Any, pairs: Any) -> Any:  # noqa: ANN401
        blocks.append(pairs.size)
        return scored(one, rows, pairs)

    monkeypatch.setattr(DecoderScorer, "_scored", counted)
    monkeypatch.setattr(decoder_scorer, "HELD_BYTES", 1)
    np.testing.assert_array_equal(scorer.score(queries, texts), expected)
    assert len(blocks) > 6
    assert sum(blocks) == len(texts)


def test_a_score_is_the_same_to_the_bit_in_any_company(tmp_path: Path) -> None:
    model = causal(tmp_path)
    queries, texts = asked()
    together = DecoderScorer(model, OneByOne(2)).score(queries, texts)
    alone = DecoderScorer(model, OneByOne(1))
    each = [alone.score([query], [text])[0] for query, text in zip(queries, texts, strict=True)]
    np.testing.assert_array_equal(together, np.array(each))


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_in_half_precision_scores_are_near_those_of_predict(tmp_path: Path, precision: str, device: str) -> None:
    model = causal(tmp_path, device=device)
    queries, texts = asked()
    expected = model.predict(list(zip(queries, texts, strict=True)), activation_fn=torch.nn.Identity())
    model.model.to(getattr(torch, precision))
    found = DecoderScorer(model, InBatches(2000)).score(queries, texts)
    assert np.abs(found - expected).max() < 0.15 * np.ptp(expected)
    assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_a_device_without_the_kernel_for_varying_lengths_is_left_to_the_library(tmp_path: Path) -> None:
    model = causal(tmp_path).to("meta")
    with pytest.raises(ValueError, match="attends to sequences of varying lengths"):
        PackedDecoder(model[0].model.model, longest=LONGEST)


def test_the_kernel_for_varying_lengths_is_told_what_sequences_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch.nn.attention.varlen

    monkeypatch.setattr(
        "nightrank.tasks.models.packed.decoders.network.attends_varying", lambda _weight, head_size: head_size > 0
    )
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", attended_one_by_one)
    require_scores_of_predict(causal(tmp_path), InBatches(2000))
