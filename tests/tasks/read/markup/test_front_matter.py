from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.read.markup.front_matter import FrontMatter, hidden_because, split_front_matter
from nightrank.tasks.read.markup.yaml_values import yaml_value


@pytest.mark.parametrize(
    "head",
    [
        "---\ntitle: Returns\nweight: 10\n---\n",
        "+++\ntitle = 'Returns'\nweight = 10\n+++\n",
        '{\n  "title": "Returns",\n  "weight": 10\n}\n',
        ';;;\n"title": "Returns",\n"weight": 10,\n;;;\n',
        '---json\n{"title": "Returns", "weight": 10}\n---\n',
        "---toml\ntitle = 'Returns'\nweight = 10\n---\n",
        "\n\n---\ntitle: Returns\nweight: 10\n...\n",
        "<!-- a\nlicence -->\n\n---\ntitle: Returns\nweight: 10\n---\n",
        "---\n\ntitle: Returns\nweight: 10\n---\n",
        "#+TITLE: Returns\n#+WEIGHT: 10\n",
        "Title: Returns\nweight:  10\n\n",
    ],
)
def test_every_usual_form_gives_the_fields_and_the_text_below(head: str) -> None:
    assert split_front_matter(f"{head}Text.")[:3] == ({"title": "Returns", "weight": 10}, "Text.", "")


def test_pandocs_title_block_is_title_authors_and_date() -> None:
    page = split_front_matter("% A title that\n  goes on\n% Ann; Bob\n% 2024-06-03\n\nText.")
    assert page[:2] == ({"title": "A title that goes on", "author": "Ann; Bob", "date": "2024-06-03"}, "\nText.")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA page that begins with a rule.\n\n---\n\nMore.",
        "---\n\nNote: shoes bought in the sale cannot be returned.\n\n---\n\nOpening hours.",
        "---\n\n# Only one rule\n\nText.",
        "---\nprose right under it\n---\nText.",
        "---\nA page says: one: two\n---\nText.",
        "---\n- a list\n---\n",
        "---\n# A heading between rules\n\n---\nText.",
        "----\ntext",
        "text\n---\na: 1\n---\n",
        "{{< shortcode >}}\ntext",
        "{% include x %}\ntext",
        '{"a": 1} is JSON',
        "%% a comment %%\ntext",
        "Note: shoes cannot be returned.\n\nText.",
        "***\n\ntext",
        "# Title: x\n\ntext",
        "",
    ],
)
def test_what_only_looks_like_a_block_stays_text(text: str) -> None:
    assert split_front_matter(text) == FrontMatter({}, text)


def test_a_block_may_be_empty_or_hold_nothing_but_fields_left_out() -> None:
    assert split_front_matter("---\n---\ntext")[:2] == ({}, "text")
    assert split_front_matter("---\n# title: x\n# tags:\n---\ntext")[:2] == ({}, "text")


@pytest.mark.parametrize(
    ("block", "fields", "fault"),
    [
        ("a: [", {}, "did not find expected node content in line 3"),
        ("title: a: b", {"title": "a: b"}, "mapping values are not allowed in this context in line 2"),
        ("title: x\na: \x00", {"title": "x"}, "control characters are not allowed"),
        ("a: 1\na: 2", {}, "the key 'a' is named twice"),
        ("title: x\na: &x [1]\nb: *x", {"title": "x"}, "the alias *x; write the value out in line 4"),
        ("a: " + "[" * 200_000 + "]" * 200_000, {}, "nested deeper than 32 levels"),
        ("title: 'No'\ndraft: true\nb: [", {"title": "No", "draft": True}, "in line 5"),
    ],
)
def test_a_broken_block_costs_all_but_the_title_and_what_hides_the_page(
    block: str, fields: dict[str, object], fault: str
) -> None:
    page = split_front_matter(f"---\n{block}\n---\nText.")
    assert (page.fields, page.text) == (fields, "Text.")
    assert fault in page.fault


def test_broken_toml_and_json_are_told_as_well() -> None:
    toml = split_front_matter("+++\ntitle = 'x'\na = \n+++\nText.")
    assert (toml.fields, toml.text, toml.fault) == ({"title": "x"}, "Text.", "Invalid value (in line 3, column 5)")
    broken = split_front_matter('{\n"title": "x",\n"a": ]\n}\nText.')
    assert (broken.fields, broken.text) == ({"title": "x"}, "Text.")
    assert "broken JSON" in broken.fault


def test_a_block_that_is_never_closed_stays_text_and_is_told() -> None:
    page = split_front_matter("---\ntitle: x\ndraft: true\n\ntext")
    assert (page.fields, page.text) == ({"draft": True}, "---\ntitle: x\ndraft: true\n\ntext")
    assert page.fault == "front matter is opened by --- in line 1 and never closed"


@pytest.mark.parametrize(
    "line",
    [
        *("draft: true", "status: draft", "published: false", "publish: no", "private: yes", "noindex: true"),
        *("unlisted: true", "search_exclude: true", "search: false"),
    ],
)
def test_what_hides_a_page_hides_it_though_another_line_is_broken(line: str) -> None:
    assert hidden_because(split_front_matter(f"---\n{line}\n---\ntext").fields)
    broken = split_front_matter(f"---\na: b: c\n{line}\n---\ntext")
    assert broken.fault
    assert hidden_because(broken.fields)


@given(st.text(alphabet="-[]{}:&*!|>?'\" \nab1.#%@+;", max_size=60))
def test_no_front_matter_raises(block: str) -> None:
    for head in ("---\n", "+++\n", "{\n", ";;;\n", "%", ""):
        split_front_matter(f"{head}{block}\n---\n+++\n}}\n")


@pytest.mark.parametrize("unit", ["---\n", "\n", "<!-- -->\n", "a: b\n", "{", "+++\n", "% a\n", "<!--", "#+a: b\n"])
def test_time_grows_with_the_text_alone(unit: str) -> None:
    split_front_matter(unit * (200_000 // len(unit)))  # a quadratic pattern would take minutes


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("No", "No"),
        ("1.10", "1.10"),
        ("1.25", 1.25),
        ("12:30", "12:30"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        ("0x1F", "0x1F"),
        (".nan", ".nan"),
        ("yes", "yes"),
        ("true", True),
        ("-7", -7),
        ("~", None),
        ("null", None),
        ("2024-06-03", "2024-06-03"),
        ("2024-01-05 10:00:00 +0900", "2024-01-05T10:00:00+09:00"),
        ("2024-06-03 10:00:00Z", "2024-06-03T10:00:00+00:00"),
        ("2024-13-45", "2024-13-45"),
        ("'007'", "007"),
        ("!!binary aGk=", "aGk="),
        ("!!python/object:os.system x", "x"),
        ("99999999999999999999999", "99999999999999999999999"),
    ],
)
def test_plain_values_are_numbers_and_dates_only_where_they_read_so(written: str, value: object) -> None:
    assert yaml_value(f"field: {written}") == {"field": value}


@pytest.mark.parametrize("name", ["title", "version", "slug", "Title"])
def test_fields_that_people_read_are_texts_on_every_page(name: str) -> None:
    for written in ("No", "1.10", "2", "true", "12:30", "2024-06-03", "0123"):
        assert yaml_value(f"{name}: {written}") == {name: written}
    assert yaml_value(f"{name}: ~") == {name: None}
    assert yaml_value("tags: [1.10, no, 2024]") == {"tags": ["1.10", "no", "2024"]}


def test_pages_say_in_several_ways_that_they_are_not_to_be_found() -> None:
    assert hidden_because({"Draft": "yes"}) == "draft"
    assert hidden_because({"unlisted": True}) == "page kept out of searches"
    assert hidden_because({"search": False}) == "page kept out of searches"
    assert hidden_because({"draft": False, "published": True, "search": {"boost": 2}, "status": "new"}) == ""
