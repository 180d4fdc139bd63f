import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scenes import history_of, river, scene_of

from pipeline_lib.errors import InputError
from pipeline_lib.model import Exclusion
from pipeline_lib.water import Observation, detector
from pipeline_lib.water.ensemble import combine, vote


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ((1, 1, 0), 1),
        ((1, 0, 0), 0),
        ((1, 255, 0), 0),
        ((1, 255, 1), 1),
        ((1, 255, 255), 1),
        ((0, 255, 255), 0),
        ((255, 255, 255), 255),
        ((1, 1, 0, 0), 0),
    ],
)
def test_the_rule_for_missing_members(votes, expected):
    classes, delivered = vote([np.array([[one]], dtype=np.uint8) for one in votes])
    assert classes.item() == expected
    assert delivered.item() == sum(one != 255 for one in votes)


@given(st.lists(st.sampled_from([0, 1, 255]), min_size=1, max_size=6))
def test_the_order_of_members_does_not_matter(votes):
    def result(order):
        return vote([np.array([[one]], dtype=np.uint8) for one in order])[0].item()

    assert result(votes) == result(votes[::-1]) == result(sorted(votes))


def extent(water, likelihood, excluded=0):
    layers = {
        "water": np.array([water], dtype=np.uint8),
        "likelihood": np.array([likelihood], dtype=np.float32),
        "excluded": np.full((1, len(water)), excluded, dtype=np.uint16),
    }
    variables = {name: (("y", "x"), values, {"units": "1"}) for name, values in layers.items()}
    return xr.Dataset(variables, attrs={"notes": ["a note"]}).chunk()


def test_likelihood_is_the_mean_of_those_that_delivered_and_agreement_is_a_layer():
    members = {
        "a": extent([1, 1, 255, 255], [0.9, 0.8, np.nan, np.nan]),
        "b": extent([1, 0, 0, 255], [0.7, 0.2, 0.1, np.nan]),
        "c": extent([1, 0, 255, 255], [0.8, 0.5 - 0.1, np.nan, np.nan]),
    }
    found = combine(members).compute()
    np.testing.assert_array_equal(found["water"], [[1, 0, 0, 255]])
    np.testing.assert_allclose(found["likelihood"], [[0.8, 1.4 / 3, 0.1, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(found["agreement"], [[1, 2 / 3, 1, np.nan]], rtol=1e-6)
    np.testing.assert_array_equal(found["members"], [[3, 3, 1, 0]])


def test_a_member_that_cannot_tell_does_not_vote_unless_none_can():
    blind = int(Exclusion.NO_SENSITIVITY)
    found = combine({"a": extent([1], [0.9]), "b": extent([0], [0.1], blind)}).compute()
    assert (found["water"].item(), found["members"].item(), found["excluded"].item()) == (1, 1, 0)
    found = combine({"a": extent([1], [0.9], blind), "b": extent([0], [0.1], blind)}).compute()
    assert (found["water"].item(), found["members"].item(), found["excluded"].item()) == (0, 2, blind)


def test_warnings_of_all_members_are_joined_and_facts_of_the_pass_kept():
    quiet, warned, other = (extent([1], [0.9]) for _ in range(3))
    quiet.attrs |= {"acquisition_id": "S1A-1", "notes": ["one"]}
    warned.attrs |= {"advisory": 8, "notes": ["two"]}
    other.attrs["advisory"] = 1
    attrs = combine({"a": quiet, "b": warned, "c": other}).attrs
    assert (attrs["advisory"], attrs["acquisition_id"], attrs["ensemble"]) == (9, "S1A-1", ["a", "b", "c"])
    assert attrs["notes"] == ["a: one", "b: two", "c: a note"]
    assert combine({"a": quiet}).attrs["advisory"] == 0


def test_members_without_their_needs_stay_silent_and_the_notes_say_so():
    water = river((100, 120))
    members = {"members": ("fixed", "tuw-bayes", "otsu")}
    alone = detector("ensemble", members).detect(Observation(scene=scene_of(water)))
    assert (alone["members"] <= 2).all()
    assert "tuw-bayes did not deliver: it needs history." in alone.attrs["notes"]
    together = detector("ensemble", members).detect(
        Observation(scene=scene_of(water), history=history_of(np.zeros_like(water)))
    )
    assert int(together["members"].max()) == 3


@pytest.mark.parametrize("members", [(), ("ensemble",), ("otsu", "otsu")])
def test_an_ensemble_of_none_of_itself_or_of_twins_is_refused(members):
    with pytest.raises(InputError):
        detector("ensemble", {"members": members})


def test_no_member_that_can_work_is_an_error():
    with pytest.raises(InputError, match="z-score did not deliver"):
        detector("ensemble", {"members": ("z-score",)}).detect(Observation(scene=scene_of(river((40, 40)))))
