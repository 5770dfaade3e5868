"""Documents cut into chunks: passages that fit into a model, with boundaries decided by the text around them.

Where a chunk ends is chosen among the starts of sentences between half of what fits and all of it: the best kind of
place first (before a heading, between blocks, between sentences), and among equals the one whose following characters
have the lowest digest. Nothing counts from the document's start, so behind an edit the old boundaries are soon found
again, and chunks keep their embeddings. It is content-defined chunking by local minima (Bjørner et al. 2010,
"Content-Dependent Chunking for Differential Compression, the Local Maximum Approach"), of sentences instead of bytes.
Windows of a fixed size, counted from the start, are there to be compared with.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from icu4py import icu_version

from nightrank.storage.keys import digest, fingerprint
from nightrank.storage.records import Chunk
from nightrank.tasks.chunk.pieces import Cut, Piece, split_pieces
from nightrank.tasks.chunk.words import Span, counting_words, finest_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nightrank.storage.records import Document
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.models.tokens import TokenCounter
    from nightrank.tasks.settings.index import ChunkingSettings

# Raise it when the same document comes to be cut in another way.
CHUNKING = "2"


# [CLS] and [SEP], or what a model has instead.
SPECIAL_TOKENS = 2
# Characters after a boundary that decide its digest: enough to be rare, few enough that most edits miss them.
CONTEXT_CHARACTERS = 48
# Of title and headings before a body, for each token that they may have: one word, and one token, may be a megabyte.
LEAD_CHARACTERS_PER_TOKEN = 32
# Whose tokens are counted at once: some megabytes of them.
DOCUMENTS_AT_ONCE, CHARACTERS_AT_ONCE = 256, 200_000

_LINE = re.compile(r"\s*[^\n]+(?:\n\s*)?")
_RUN = re.compile(r"\s*\S+\s*")


def chunk_document(document: Document, *, settings: ChunkingSettings, count_tokens: TokenCounter) -> list[Chunk]:
    """The chunks of a document, in order; their bodies, put together, are its text to the last character.

    A chunk's text is the title, the Markdown headings that lead to the passage, and the passage. Title and headings
    take half of a chunk at most: beyond it the outer headings are left out, then all of them, then the end of the
    title. A document that fits is one chunk, without headings before it. No word is ever cut (as ``tasks.chunk.words``
    has them where no space tells): one that is longer than a chunk is a chunk by itself, the only one to
    exceed ``max_tokens``, along with a document of nothing but a long title. Models truncate it. Windows of fixed
    size carry the title and no headings.

    Args:
        document: One with a title or a text.
        settings: The method and the size of chunks.
        count_tokens: Of the embedder's tokenizer.
    """
    [chunks] = cut_documents([document], settings=settings, count_tokens=count_tokens)
    return chunks


def cut_documents(
    documents: Iterable[Document], *, settings: ChunkingSettings, count_tokens: TokenCounter
) -> Iterator[list[Chunk]]:
    """The chunks of each document, as ``chunk_document`` has them.

    Tokens are counted of many documents at once, so that a tokenizer has work for all cores and is seldom waited for.
    """
    count_tokens = counting_words(count_tokens)
    for several in _some_at_once(documents):
        found = [_pieces(document, settings) for document in several]
        texts = [_texts(document, pieces) for document, pieces in zip(several, found, strict=True)]
        sizes = iter(count_tokens([text for of_one in texts for text in of_one]))
        for document, pieces, of_one in zip(several, found, texts, strict=True):
            yield _cut(document, pieces, [*islice(sizes, len(of_one))], settings, count_tokens)


def _some_at_once(documents: Iterable[Document]) -> Iterator[list[Document]]:
    held: list[Document] = []
    characters = 0
    for document in documents:
        held.append(document)
        characters += len(document.text)
        if characters >= CHARACTERS_AT_ONCE or len(held) == DOCUMENTS_AT_ONCE:
            yield held
            held, characters = [], 0
    if held:
        yield held


def _pieces(document: Document, settings: ChunkingSettings) -> list[Piece]:
    """What a document may be cut between; nothing where it is one chunk in any case."""
    if settings.method == "whole":
        return []
    return _words(document.text) if settings.method == "fixed" and document.text else split_pieces(document.text)


def _texts(document: Document, pieces: Sequence[Piece]) -> list[str]:
    """What tokens are counted of: the pieces, then the title, where there is one."""
    if not pieces:
        return []
    titles = [f"{document.title}\n"] if document.title else []
    return [*(document.text[piece.start : piece.end] for piece in pieces), *titles]


def _cut(
    document: Document,
    pieces: Sequence[Piece],
    sizes: Sequence[int],
    settings: ChunkingSettings,
    count_tokens: TokenCounter,
) -> list[Chunk]:
    """The chunks of a document, from the tokens of its ``_texts``."""
    text = document.text
    whole = _chunk(document, 0, document.title, text)
    if not pieces:
        return [whole]
    sizes, title_size = sizes[: len(pieces)], sum(sizes[len(pieces) :])
    limit = _Limit(settings.max_tokens - SPECIAL_TOKENS, count_tokens)
    if limit.holds(whole.text, title_size + sum(sizes), joints=len(pieces)):
        return [whole]
    leads = _Leads(document.title, limit)
    sized = list(zip(pieces, sizes, strict=True))
    for spans_in in (_lines, _runs, finest_spans):
        sized = _refined(text, sized, spans_in, leads, limit)
    choose = _last_end if settings.method == "fixed" else _chosen_end
    packed = _packed(text, sized, leads, limit, choose)
    return [_chunk(document, ordinal, lead, body) for ordinal, (lead, body) in enumerate(packed)]


def _chunk(document: Document, ordinal: int, lead: str, body: str) -> Chunk:
    before = f"{lead}\n" if lead and body else lead
    return Chunk(document.document_id, ordinal, before + body, len(before))


Headings = tuple[str, ...]
Sized = list[tuple[Piece, int]]
SpansIn = Callable[[str, int, int], list[Span]]
EndChooser = Callable[[str, Sized, list[int], int, int], int]


@dataclass(frozen=True, slots=True)
class _Lead:
    """Title and headings that go before a body, and their tokens."""

    text: str
    size: int


@dataclass(frozen=True, slots=True)
class _Limit:
    """How many tokens a text may have, special tokens not counted, and how to count them."""

    tokens: int
    count: TokenCounter

    def holds(self, text: str, estimate: int, *, joints: int) -> bool:
        """Whether a text of several pieces is within the limit; it is counted only where their sum leaves that open."""
        # A whole differs from its parts by a token a joint at most, and by nothing where tokenizers split at spaces.
        if abs(estimate - self.tokens) > joints:
            return estimate <= self.tokens
        return self.count([text])[0] <= self.tokens


class _Leads:
    """What goes before a body under each path of headings: as much of it as half of a chunk holds.

    A path is looked at when a chunk first begins under it: a page may have a path for every few of its characters.
    """

    def __init__(self, title: str, limit: _Limit) -> None:
        self.budget = limit.tokens // 2
        self._title = title
        self._limit = limit
        self._found: dict[Headings, _Lead] = {}

    def under(self, path: Headings) -> _Lead:
        """The lead of a body that begins under a path of headings."""
        if path not in self._found:
            self._found[path] = self._lead(path)
        return self._found[path]

    def _lead(self, path: Headings) -> _Lead:
        title, most = self._title, LEAD_CHARACTERS_PER_TOKEN * self.budget
        others = [heading for heading in path if heading != title]
        for kept in (others, others[-1:], []):
            if len(title) + sum(map(len, kept)) > most:
                continue
            text = "\n".join(line for line in (title, " > ".join(kept)) if line)
            size = self._limit.count([f"{text}\n"])[0]
            if size <= self.budget:
                return _Lead(text, size)
        return self._beginning_of_title

    @cached_property
    def _beginning_of_title(self) -> _Lead:
        words = re.findall(r"\s*\S+", self._title)
        sums = list(accumulate(self._limit.count(words) if words else [], initial=0))
        characters = list(accumulate(map(len, words), initial=0))
        most = LEAD_CHARACTERS_PER_TOKEN * self.budget
        text = "".join(words[: min(bisect_right(sums, self.budget), bisect_right(characters, most)) - 1])
        size = self._limit.count([f"{text}\n"])[0]
        return _Lead(text, size) if size <= self.budget else _Lead("", 0)


def _words(text: str) -> list[Piece]:
    """The words of a text as pieces without headings; one piece for a text of whitespace."""
    spans = finest_spans(text, 0, len(text)) or [(0, len(text))]
    return [Piece(start, end, Cut.WORD, ()) for start, end in spans]


def _lines(text: str, start: int, end: int) -> list[Span]:
    return [match.span() for match in _LINE.finditer(text, start, end)]


def _runs(text: str, start: int, end: int) -> list[Span]:
    return [match.span() for match in _RUN.finditer(text, start, end)]


def _refined(text: str, sized: Sized, spans_in: SpansIn, leads: _Leads, limit: _Limit) -> Sized:
    """The pieces, those that do not fit into a chunk of their own cut into finer ones."""
    result: Sized = []
    for piece, size in sized:
        if size + leads.budget + 1 < limit.tokens:  # it fits whatever leads it
            result.append((piece, size))
            continue
        lead, own = leads.under(piece.headings), text[piece.start : piece.end]
        if own.isspace() or limit.holds(f"{lead.text}\n{own}", lead.size + size, joints=1):
            result.append((piece, size))
            continue
        spans = spans_in(text, piece.start, piece.end)
        parts = [
            replace(piece, start=start, end=end, cut=piece.cut if start == piece.start else Cut.WORD)
            for start, end in spans
        ]
        result += zip(parts, limit.count([text[part.start : part.end] for part in parts]), strict=True)
    return result


def _packed(text: str, sized: Sized, leads: _Leads, limit: _Limit, choose: EndChooser) -> Iterator[tuple[str, str]]:
    """The lead and the body of each chunk."""
    sums = list(accumulate((size for _, size in sized), initial=0))
    first = 0
    while first < len(sized):
        lead = leads.under(sized[first][0].headings)
        room = limit.tokens - lead.size
        while True:
            end = choose(text, sized, sums, first, room)
            body = text[sized[first][0].start : sized[end - 1][0].end]
            estimate = lead.size + sums[end] - sums[first]
            if end == first + 1 or limit.holds(f"{lead.text}\n{body}", estimate, joints=end - first):
                break
            room = sums[end - 1] - sums[first]
        yield lead.text, body
        first = end


def _last_end(_text: str, _sized: Sized, sums: list[int], first: int, room: int) -> int:
    """One past the last piece that fits into the chunk that begins with the piece ``first``."""
    return max(first + 1, bisect_right(sums, sums[first] + room) - 1)


def _chosen_end(text: str, sized: Sized, sums: list[int], first: int, room: int) -> int:
    """One past the last piece of the chunk that begins with the piece ``first``."""
    last = _last_end(text, sized, sums, first, room)
    if last == len(sized):
        return last
    candidates = range(bisect_left(sums, sums[first] + room / 2, first + 1, last), last + 1)
    return min(candidates, key=lambda end: (sized[end][0].cut, _priority(text, sized[end][0].start), -end))


def _priority(text: str, boundary: int) -> str:
    return digest(text[boundary : boundary + CONTEXT_CHARACTERS])


def chunking_fingerprint(settings: ChunkingSettings, plan: EmbedderPlan) -> str:
    """The key of everything that decides where a document is cut; embedders that share a tokenizer share it."""
    tokenizer = plan.files.digests.get("tokenizer.json")
    cut = {
        "chunking": CHUNKING,
        "segmenter": f"icu {icu_version}",
        "settings": settings.model_dump(),
        "tokenizer": tokenizer,
    }
    return fingerprint(cut)
