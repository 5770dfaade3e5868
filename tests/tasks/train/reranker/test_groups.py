"""What a group may hold, and that draws depend on nothing but the seed and the step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.train.reranker.groups import Group, GroupSampler, GroupSettings, MinedSource
from nightrank.tasks.train.sources import MinedQuery, Passage

SETTINGS = GroupSettings(groups=4, near=2, far=1, anywhere=1, near_depth=3, untitled_share=0.0, keyword_share=0.0)


def source(*, queries: int = 6) -> MinedSource:
    """Queries ``q<i>`` answered by passages i and 20 + i; candidates 6 to 11; passage 19 is held out."""
    return MinedSource(
        [Passage(f"d{i}", f"title {i}", f"text {i}") for i in range(30)],
        [
            MinedQuery(f"q{i}", ((i, 2.0), (20 + i, 1.5)), tuple((n, float(-n)) for n in range(6, 12)), -30.0)
            for i in range(queries)
        ],
        share=1.0,
        held=frozenset({19}),
    )


def number(text: str) -> int:
    return int(text.rsplit(" ", 1)[1])


def draws(sampler: GroupSampler, steps: range) -> list[Group]:
    return [group for step in steps for group in sampler.draw(step)]


def test_a_group_has_one_answer_first_and_no_other_answer_and_nothing_held_out() -> None:
    for group in draws(GroupSampler({"s": source()}, SETTINGS), range(50)):
        asked = int(group.query[1:])
        first, *others = (number(text) for text in group.texts)
        assert first in {asked, 20 + asked}
        assert len(set(others)) == 4
        assert not {asked, 20 + asked, 19}.intersection(others)
        assert {6, 7, 8}.issuperset(others[:2])
        assert {9, 10, 11}.issuperset(others[2:3])


def test_what_says_an_answers_words_or_was_refused_is_no_stranger() -> None:
    said = ("answer", "answer", "false_negatives", "false_negatives", "wrong", "wronger")
    passages = [Passage(f"d{i}", "", text) for i, text in enumerate(said)]
    queries = [MinedQuery("q", ((0, 1.0),), (), -1.0, false_negatives=(2,))]
    settings = SETTINGS.model_copy(update={"groups": 1, "near": 0, "far": 0, "anywhere": 2})
    for group in draws(GroupSampler({"s": MinedSource(passages, queries, 1.0)}, settings), range(10)):
        assert group.texts[0] == "answer"
        assert set(group.texts[1:]) == {"wrong", "wronger"}


def test_each_passage_keeps_the_first_stages_opinion_and_a_stranger_gets_the_lowest() -> None:
    for group in draws(GroupSampler({"s": source()}, SETTINGS), range(10)):
        assert group.teacher_scores[0] in {2.0, 1.5}
        assert list(group.teacher_scores[1:4]) == [float(-number(text)) for text in group.texts[1:4]]
        stranger = number(group.texts[4])
        assert group.teacher_scores[4] == (float(-stranger) if 6 <= stranger < 12 else -30.0)


def test_every_query_is_used_once_before_any_is_used_again() -> None:
    queries = [group.query for group in draws(GroupSampler({"s": source()}, SETTINGS), range(6))]
    assert [len(set(queries[start : start + 6])) for start in (0, 6, 12, 18)] == [6, 6, 6, 6]


def test_a_run_that_goes_on_draws_what_it_would_have_drawn() -> None:
    whole = GroupSampler({"s": source()}, SETTINGS)
    expected = [whole.draw(step) for step in range(6)]
    first = GroupSampler({"s": source()}, SETTINGS)
    assert [first.draw(step) for step in range(3)] == expected[:3]
    second = GroupSampler({"s": source()}, SETTINGS)
    second.used = first.used
    assert [second.draw(step) for step in range(3, 6)] == expected[3:]


def test_what_the_query_was_taken_from_is_not_shown() -> None:
    passages = [Passage(f"d{i}", "", f"Before. Sentence {i}. After.") for i in range(8)]
    queries = [MinedQuery("sentence 0.", ((0, 1.0),), ((1, 0.5), (2, 0.4)), -1.0, "Sentence 0.")]
    [group] = draws(
        GroupSampler({"s": MinedSource(passages, queries, 1.0)}, SETTINGS.model_copy(update={"groups": 1})), range(1)
    )
    assert group.texts[0] == "Before.  After."
    assert "Sentence" in group.texts[1]


def test_keywords_are_shown_for_the_share_of_the_queries_that_is_asked_for() -> None:
    passages = [Passage(f"d{i}", "", f"text {i}") for i in range(20)]
    queries = [MinedQuery("where is the river?", ((0, 1.0),), ((1, 0.5),), -1.0)]
    half = SETTINGS.model_copy(update={"keyword_share": 0.5})
    shown = [group.query for group in draws(GroupSampler({"s": MinedSource(passages, queries, 1.0)}, half), range(200))]
    assert set(shown) == {"where is the river?", "where river"}
    assert shown.count("where river") / len(shown) == pytest.approx(0.5, abs=0.06)


def test_a_query_with_too_little_else_is_left_out_and_counted() -> None:
    passages = [Passage(f"d{i}", "", f"text {i}") for i in range(9)]
    greedy = MinedQuery("greedy", tuple((i, 1.0) for i in range(8)), (), -1.0)
    modest = MinedQuery("modest", ((0, 1.0),), ((1, 0.5),), -1.0)
    sampler = GroupSampler({"s": MinedSource(passages, [greedy, modest], 1.0)}, SETTINGS)
    assert sampler.left_out == {"s": 1}
    assert {group.query for group in draws(sampler, range(5))} == {"modest"}
    with pytest.raises(InputError, match="for none of them 4 passages"):
        GroupSampler({"s": MinedSource(passages, [greedy], 1.0)}, SETTINGS)


def test_the_few_passages_that_are_none_are_found_among_many_that_are() -> None:
    passages = [Passage("d" if i > 3 else f"d{i}", "", f"text {i}") for i in range(20_000)]
    queries = [MinedQuery("q", ((9, 1.0),), (), -1.0)]
    settings = SETTINGS.model_copy(update={"groups": 1})
    [group] = draws(GroupSampler({"s": MinedSource(passages, queries, 1.0)}, settings), range(1))
    assert sorted(number(text) for text in group.texts[1:]) == [0, 1, 2, 3]


def test_a_source_without_queries_is_refused() -> None:
    with pytest.raises(InputError, match="The source s has 0 queries"):
        GroupSampler({"s": source(queries=0)}, SETTINGS)


def test_titles_are_shown_together_or_not_at_all_where_that_is_asked_for() -> None:
    passages = [Passage(f"d{i}", "" if i in {1, 4} else "title", f"text {i}") for i in range(6)]
    negatives = ((1, 0.5), (2, 0.4), (3, 0.3))
    queries = [MinedQuery("titled", ((0, 1.0),), negatives, -1.0), MinedQuery("bare", ((4, 1.0),), negatives, -1.0)]
    settings = SETTINGS.model_copy(update={"groups": 2, "near": 2, "far": 0, "anywhere": 1, "titles_together": True})
    sampler = GroupSampler({"s": MinedSource(passages, queries, 1.0)}, settings)
    for group in draws(sampler, range(9)):
        titled = [text.startswith("title") for text in group.texts]
        assert titled == [group.query == "titled"] * 4
    plain = GroupSampler(
        {"s": MinedSource(passages, queries[:1], 1.0)}, settings.model_copy(update={"titles_together": False})
    )
    shown = {text for group in draws(plain, range(9)) for text in group.texts}
    assert {"text 1", "title\ntext 2"} <= shown


def test_a_source_may_have_lengths_and_a_share_of_the_labels_of_its_own() -> None:
    own = replace(source(), length_shares={64: 0.5, 96: 0.5}, label_share=0.75)
    settings = SETTINGS.model_copy(update={"max_lengths": (128,), "length_shares": (1.0,)})
    groups = draws(GroupSampler({"own": own}, settings), range(20))
    assert {group.max_length for group in groups} == {64, 96}
    assert {group.label_share for group in groups} == {0.75}
    [other, *_] = draws(GroupSampler({"other": source()}, settings), range(1))
    assert (other.max_length, other.label_share) == (128, None)
