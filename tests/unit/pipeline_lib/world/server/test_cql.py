"""CQL2 against the evaluator of the cql2 package, and SQL's logic where a property is missing."""

from datetime import datetime, timezone

import cql2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box, mapping

from pipeline_lib.world.server.archive import Entry
from pipeline_lib.world.server.cql import FilterError, matches, parsed

MOMENT = datetime(2024, 1, 5, tzinfo=timezone.utc)
ITEM = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "id": "a",
    "collection": "c",
    "geometry": mapping(box(0, 0, 1, 1)),
    "bbox": [0, 0, 1, 1],
    "properties": {"datetime": "2024-01-05T00:00:00Z", "cloud": 10.5, "platform": "S1A", "orbit": 66, "nothing": None},
}
ENTRY = Entry(ITEM, "c", "a", box(0, 0, 1, 1), MOMENT, MOMENT, MOMENT)

FILTERS = [
    "cloud < 20",
    "cloud >= 10.5 AND orbit = 66",
    "platform = 'S1B' OR orbit > 60",
    "NOT (platform = 'S1B')",
    "platform LIKE 'S1%'",
    "platform LIKE '_1B'",
    "platform IN ('S1A', 'S1C')",
    "orbit BETWEEN 60 AND 70",
    "orbit BETWEEN 67 AND 70",
    "nothing IS NULL",
    "platform IS NULL",
    "orbit + 1 = 67",
    "orbit * 2 > 200",
    "CASEI(platform) = CASEI('s1a')",
    "id = 'a'",
    "collection <> 'c'",
    "S_INTERSECTS(geometry, POLYGON((0.5 0.5, 2 0.5, 2 2, 0.5 2, 0.5 0.5)))",
    "S_INTERSECTS(geometry, POINT(3 3))",
    "S_DISJOINT(geometry, POINT(3 3))",
    "S_WITHIN(geometry, POLYGON((-1 -1, 2 -1, 2 2, -1 2, -1 -1)))",
    "datetime > TIMESTAMP('2024-01-01T00:00:00Z')",
    "T_AFTER(datetime, TIMESTAMP('2024-02-01T00:00:00Z'))",
    "T_BEFORE(datetime, TIMESTAMP('2024-02-01T00:00:00Z'))",
    "T_DURING(datetime, INTERVAL('2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z'))",
]


@pytest.mark.parametrize("text", FILTERS)
def test_agrees_with_the_cql2_package(text):
    expression = cql2.Expr(text)
    expected = expression.matches(ITEM)
    assert matches(parsed(text), ENTRY) == expected
    assert matches(parsed(expression.to_json()), ENTRY) == expected


conditions = st.recursive(
    st.one_of(
        st.tuples(st.just("cloud"), st.sampled_from(("=", "<", ">", "<>")), st.sampled_from((5, 10.5, 20))),
        st.tuples(st.just("orbit"), st.sampled_from(("<=", ">=", "=")), st.integers(64, 68)),
    ).map(lambda part: f"{part[0]} {part[1]} {part[2]}"),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("AND", "OR")), inner).map(lambda part: f"({part[0]}) {part[1]} ({part[2]})"),
        inner.map(lambda part: f"NOT ({part})"),
    ),
    max_leaves=6,
)


@given(conditions)
def test_agrees_with_the_cql2_package_on_any_combination(text):
    assert matches(parsed(text), ENTRY) == cql2.Expr(text).matches(ITEM)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("missing = 3", False),
        ("NOT missing = 3", False),
        ("missing IS NULL", True),
        ("missing = 3 OR orbit = 66", True),
        ("missing = 3 AND orbit = 66", False),
        ("NOT (missing = 3 AND orbit = 1)", True),
        ("missing IN (1, 2)", False),
        ("missing LIKE 'a%'", False),
        ("platform > 3", False),
        ("orbit / 0 = 1", False),
    ],
)
def test_unknown_is_neither_true_nor_false(text, expected):
    assert matches(parsed(text), ENTRY) is expected


def test_the_bounds_of_between_may_be_a_list_as_in_drafts():
    assert matches(parsed({"op": "between", "args": [{"property": "orbit"}, [60, 70]]}), ENTRY)
    assert not matches(parsed({"op": "between", "args": [{"property": "orbit"}, [67, 70]]}), ENTRY)


@pytest.mark.parametrize(
    "tree",
    [
        {"op": "between", "args": [{"property": "orbit"}, 60]},
        {"op": "=", "args": [{"property": "orbit"}]},
        {"op": "in", "args": [{"property": "orbit"}, 3]},
        {"op": "not", "args": []},
        {"op": "and", "args": []},
        {"op": "and", "args": [{"op": "like", "args": [1, 2, 3]}]},
        {"op": "="},
    ],
)
def test_wrong_numbers_of_arguments_are_refused(tree):
    with pytest.raises(FilterError):
        parsed(tree)


@pytest.mark.parametrize("text", ["platform = (", "A_CONTAINS(tags, ('a'))", "my_function(platform) = 1", "3"])
def test_what_is_not_understood_is_refused_not_ignored(text):
    with pytest.raises(FilterError):
        parsed(text)
