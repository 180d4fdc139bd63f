"""Events: each rule against a literal twin, cumulative against daily, order and chunks without effect."""

import itertools
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.flood import mosaic, state_of
from pipeline_lib.flood.event import EVENT_OUTPUTS
from pipeline_lib.flood.series import QUANTITIES, area_range, area_series
from pipeline_lib.flood.track import UNKNOWN_HOURS, Layers
from pipeline_lib.model import EventState

START = datetime(2024, 5, 1, 6, tzinfo=timezone.utc)


def layer(values, dtype):
    values = np.asarray(values, dtype)
    coords = {"y": 4_900_000.0 - 10 * np.arange(values.shape[0]), "x": 500_000.0 + 10 * np.arange(values.shape[1])}
    return xr.DataArray(values, dims=("y", "x"), coords=coords, attrs={"units": "1"})


def flood_map(rng, shape):
    """A FloodMap that obeys the invariants, otherwise at random."""
    classes = rng.choice([0, 1, 2, 3, 4, 254, 255], shape, p=[0.3, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1]).astype(np.uint8)
    flood = np.where(classes >= 254, classes, np.isin(classes, (2, 3, 4)))
    water = np.where(classes >= 254, classes, classes > 0)
    reference = np.where(classes == 1, rng.choice([1, 2], shape), np.where(classes == 254, 255, 0))
    likelihood = np.where(classes == 255, 255, rng.integers(0, 101, shape))
    layers = {
        "flood_extent": flood,
        "water_extent": water,
        "reference_water": reference,
        "likelihood": likelihood,
        "flood_class": classes,
    }
    found = xr.Dataset({name: layer(values, np.uint8) for name, values in layers.items()})
    found["exclusion"] = layer(np.where(classes == 254, rng.choice([1, 4, 32], shape), 0), np.uint16)
    return found


def passes_of(seed, count=4, shape=(9, 11), hours=(0, 30, 47, 110, 200)):
    rng = np.random.default_rng(seed)
    return [(START + timedelta(hours=hours[i]), flood_map(rng, shape)) for i in range(count)]


def twin(passes, rule):
    """The rules of `pipeline_lib.flood.event`, pixel by pixel in plain Python."""
    hours = [round((moment - START.replace(hour=0)).total_seconds() / 3600) for moment, _ in passes]
    shape = passes[0][1]["flood_extent"].shape
    names = (
        "flood_extent",
        "observations",
        "first_seen",
        "last_seen",
        "duration",
        "duration_uncertainty",
        "state",
        "age",
    )
    out = {name: np.zeros(shape, int) for name in names}
    for y in range(shape[0]):
        for x in range(shape[1]):
            codes = [int(flood["flood_extent"].values[y, x]) for _, flood in passes]
            looks = [(hour, code) for hour, code in zip(hours, codes, strict=True) if code < 254]
            wet = [hour for hour, code in looks if code == 1]
            untold = 254 if any(code != 255 for code in codes) else 255
            flooded = {
                "latest": looks and looks[-1][1] == 1,
                "maximum": bool(wet),
                "count": bool(looks) and 2 * len(wet) >= len(looks),
            }[rule]
            whole = sum(b[0] - a[0] for a, b in itertools.pairwise(looks) if a[1] == b[1] == 1)
            turning = sum(b[0] - a[0] for a, b in itertools.pairwise(looks) if a[1] != b[1])
            now, was = (looks[-1][1], looks[-2][1] if len(looks) > 1 else 0) if looks else (0, 0)
            state = (2 if was else 1) if now else (3 if wet else 0)
            values = {
                "flood_extent": int(flooded) if looks else untold,
                "observations": len(looks),
                "first_seen": wet[0] if wet else UNKNOWN_HOURS,
                "last_seen": wet[-1] if wet else UNKNOWN_HOURS,
                "duration": round(whole + turning / 2) if wet else UNKNOWN_HOURS,
                "duration_uncertainty": round(turning / 2) if wet else UNKNOWN_HOURS,
                "state": state if looks else untold,
                "age": hours[-1] - looks[-1][0] if looks else UNKNOWN_HOURS,
            }
            for name, value in values.items():
                out[name][y, x] = value
    return out


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from(["latest", "maximum", "count"]), st.integers(1, 5))
def test_rules_equal_their_literal_twin(seed, rule, count):
    passes = passes_of(seed, count)
    event = mosaic(passes, rule).compute()
    for name, expected in twin(passes, rule).items():
        np.testing.assert_array_equal(event[name].values, expected, err_msg=name)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from(["latest", "maximum", "count"]))
def test_invariants_of_a_flood_map_hold_for_the_event(seed, rule):
    event = mosaic(passes_of(seed), rule).compute()
    flood, water, reference = (event[name].values for name in ("flood_extent", "water_extent", "reference_water"))
    usable = flood < 254
    assert not ((flood == 1) & np.isin(reference, (1, 2))).any()
    assert (water[usable] == ((flood == 1) | np.isin(reference, (1, 2)))[usable]).all()
    assert ((event["exclusion"].values > 0) <= ~usable).all()
    assert (np.isin(event["flood_class"].values, (2, 3, 4)) == (flood == 1)).all()


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_cumulative_never_contradicts_daily(seed):
    passes = passes_of(seed)
    event = mosaic(passes, "maximum").compute()
    daily = np.stack([flood["flood_extent"].values for _, flood in passes])
    assert ((event["flood_extent"].values == 1) == (daily == 1).any(axis=0)).all()
    assert ((event["flood_extent"].values == 255) == (daily == 255).all(axis=0)).all()
    so_far = event["area_m2"].values[:, QUANTITIES.index("flood_so_far")]
    assert (np.diff(so_far) >= 0).all()
    area = event["area_m2"].values
    assert (area[:, QUANTITIES.index("flood_now")] <= so_far + 1e-6).all()
    kinds = sum(area[:, QUANTITIES.index(name)] for name in ("open_flood", "flooded_vegetation", "flooded_town"))
    np.testing.assert_allclose(kinds, area[:, QUANTITIES.index("flood")])


def test_order_and_chunks_of_the_passes_do_not_matter():
    passes = passes_of(4, shape=(50, 61))
    event = mosaic(passes).compute()
    xr.testing.assert_identical(mosaic(passes[::-1]).compute(), event)
    chunked = [(moment, flood.chunk({"y": 17, "x": 23})) for moment, flood in passes]
    xr.testing.assert_identical(mosaic(chunked).compute(), event)


def test_adding_a_pass_never_shrinks_the_maximum():
    passes = passes_of(8, 5)
    areas = [int((mosaic(passes[:count])["flood_extent"] == 1).sum()) for count in range(1, 6)]
    assert areas == sorted(areas)


def test_layers_times_and_areas():
    passes = passes_of(1, 3)
    event = mosaic(passes).compute()
    assert {name: str(event[name].dtype) for name in EVENT_OUTPUTS} == EVENT_OUTPUTS
    assert event.attrs["pass_times"] == [moment.isoformat() for moment, _ in passes]
    first = passes[0][1]["flood_extent"].values
    assert event["area_m2"].values[0, QUANTITIES.index("flood")] == pytest.approx((first == 1).sum() * 100)
    inside = xr.zeros_like(passes[0][1]["flood_extent"])
    inside[:4] = 1
    part = mosaic(passes, inside=inside)["area_m2"].values
    assert part[0, QUANTITIES.index("flood")] == pytest.approx((first[:4] == 1).sum() * 100)
    assert part[0, QUANTITIES.index("total")] == pytest.approx(4 * 11 * 100)


def test_peak_is_the_likeliest_flooded_look():
    base = flood_map(np.random.default_rng(0), (3, 3))
    wet = base.copy(deep=True)
    wet["flood_extent"][:], wet["flood_class"][:], wet["exclusion"][:] = 1, 2, 0
    maps = []
    for percent in (60, 95, 95):
        one = wet.copy(deep=True)
        one["likelihood"][:] = percent
        maps.append(one)
    event = mosaic([(START + timedelta(hours=10 * i), one) for i, one in enumerate(maps)])
    assert (event["peak_date"].values == 16).all()


@pytest.mark.parametrize(
    ("rule", "likelihood", "uncertainty"), [("latest", 51, 49), ("maximum", 80, 12), ("count", 65, 38)]
)
def test_the_detectors_own_doubt_reaches_the_event_by_the_rule(rule, likelihood, uncertainty):
    # Brought to the side of its class, a likelihood of 51 may have been a probability of 20: its doubt still says so.
    maps = []
    for percent, doubt in ((49, 30), (80, 20), (80, 12), (51, 49)):
        one = flood_map(np.random.default_rng(0), (3, 3))
        one["flood_extent"][:], one["flood_class"][:] = int(percent > 50), 2 if percent > 50 else 0
        one["likelihood"][:], one["exclusion"][:] = percent, 0
        maps.append(one.assign(uncertainty=xr.full_like(one["likelihood"], doubt)))
    hidden = xr.full_like(maps[0]["flood_extent"], 254)
    maps.append(maps[0].assign(flood_extent=hidden, uncertainty=xr.full_like(hidden, 3)))
    event = mosaic([(START + timedelta(hours=10 * i), one) for i, one in enumerate(maps)], rule)
    # Under "count", 38 is the doubt of the mean of 30, 80, 88 and 51: what each look said before its class was decided.
    assert (event["likelihood"].values == likelihood).all()
    assert (event["uncertainty"].values == uncertainty).all()


@pytest.mark.parametrize(
    ("rule", "likelihood", "uncertainty"), [("latest", 40, 40), ("maximum", 70, 30), ("count", 55, 45)]
)
def test_without_a_doubt_of_its_own_a_look_is_as_unsure_as_its_likelihood(rule, likelihood, uncertainty):
    maps = []
    for percent in (70, 40):
        one = flood_map(np.random.default_rng(0), (3, 3))
        one["flood_extent"][:], one["flood_class"][:] = int(percent > 50), 2 if percent > 50 else 0
        one["likelihood"][:], one["exclusion"][:] = percent, 0
        maps.append(one)
    event = mosaic([(START + timedelta(hours=10 * i), one) for i, one in enumerate(maps)], rule)
    assert (event["likelihood"].values == likelihood).all()
    assert (event["uncertainty"].values == uncertainty).all()


def test_no_pass_and_unknown_rule_are_refused():
    with pytest.raises(ValueError, match="at least one pass"):
        mosaic([])
    with pytest.raises(ValueError, match="newest"):
        mosaic(passes_of(0), "newest")


@pytest.mark.parametrize(
    ("areas", "state"),
    [
        ([5], EventState.PEAK),
        ([1, 5], EventState.RISING),
        ([1, 5, 5.1], EventState.PEAK),
        ([1, 5, 3], EventState.RECEDING),
        ([1, 5, 0.2], EventState.OVER),
        ([0, 0], EventState.NONE),
    ],
)
def test_state(areas, state):
    assert state_of(areas) is state


def test_the_range_of_an_area_grows_with_doubt_and_shrinks_with_looks():
    sure = area_range(4e6, 0.0, 9e6)
    one, four = area_range(4e6, 6e5, 9e6), area_range(4e6, 6e5 / 4, 9e6)
    assert sure == (4e6, 4e6)
    assert one[0] < four[0] < 4e6 < four[1] < one[1]
    assert area_range(0.0, 1e6, 9e6)[1] > 0, "nothing mapped is not nothing there"
    low, high = area_range(1e6, 5e6, 2e6)
    assert (low, high) == (0.0, 2e6)


def test_doubt_of_an_event_is_the_variance_of_its_pixels_over_their_looks():
    likelihood = np.array([[0, 50, 100], [20, 80, 255]], np.uint8)
    flood = xr.Dataset(
        {
            "flood_extent": (("y", "x"), np.array([[0, 0, 1], [0, 1, 255]], np.uint8)),
            "likelihood": (("y", "x"), likelihood),
            "reference_water": (("y", "x"), np.zeros((2, 3), np.uint8)),
            "observations": (("y", "x"), np.array([[1, 2, 1], [4, 1, 0]], np.uint16)),
        }
    )
    areas = np.array([100.0, 200.0, 300.0])
    found = area_series([flood], areas).values[0, QUANTITIES.index("doubt")]
    assert found == pytest.approx(200 * 0.25 / 2 + 100 * 0.16 / 4 + 200 * 0.16)


def looks(*looked, classes=(2,)):
    """One-pixel passes an hour apart: (flood, likelihood, doubt, reference) each."""
    maps = []
    for number, (flood, likelihood, doubt, reference) in enumerate(looked):
        one = flood_map(np.random.default_rng(0), (2, 2))
        values = {
            "flood_extent": flood, "water_extent": flood if flood >= 254 else int(flood or reference in (1, 2)),
            "likelihood": likelihood, "reference_water": reference, "exclusion": 4 if flood == 254 else 0,
            "flood_class": classes[number % len(classes)] if flood == 1 else flood if flood >= 254 else 0,
        }  # fmt: skip
        for name, value in values.items():
            one[name][:] = value
        one["uncertainty"] = xr.full_like(one["likelihood"], doubt)
        maps.append((START + timedelta(hours=number), one))
    return maps


def pixel(event, name):
    return int(event[name].values[0, 0])


def test_of_equally_likely_looks_the_surest_counts_and_an_unsure_half_is_water():
    event = mosaic(looks((1, 70, 30, 0), (1, 70, 10, 0), (1, 70, 20, 0)))
    assert (pixel(event, "likelihood"), pixel(event, "uncertainty")) == (70, 10)
    event = mosaic(looks((1, 60, 40, 0), (1, 80, 50, 0)))
    assert (pixel(event, "likelihood"), pixel(event, "uncertainty")) == (80, 50), "likelier goes before surer"
    event = mosaic(looks((1, 50, 10, 0), (1, 90, 10, 0)), "count")
    assert pixel(event, "uncertainty") == 10, "half is on the side of water: 90 % and 90 %"
    event = mosaic(looks((0, 0, 0, 0), (254, 99, 1, 0)), "count")
    assert (pixel(event, "likelihood"), pixel(event, "uncertainty")) == (0, 0), "an excluded look has no weight"


@pytest.mark.parametrize(("seen", "kept"), [((255, 0), 0), ((0, 2), 2), ((2, 1), 1), ((1, 2), 1), ((255, 255), 255)])
def test_permanent_goes_before_seasonal_before_none_before_unknown(seen, kept):
    assert pixel(mosaic(looks(*((0, 0, 0, code) for code in seen))), "reference_water") == kept


def test_reasons_are_kept_only_where_no_look_was_usable_and_open_water_goes_first():
    hidden, both = looks((254, 9, 9, 0)), looks((254, 9, 9, 0), (0, 9, 9, 0))
    assert (pixel(mosaic(hidden), "exclusion"), pixel(mosaic(both), "exclusion")) == (4, 0)
    classes = mosaic(looks((1, 80, 20, 0), (1, 80, 20, 0), (1, 80, 20, 0), classes=(4, 2, 3)))
    assert pixel(classes, "flood_class") == 2


def test_the_layers_of_the_kernel_are_those_of_the_event():
    assert Layers._fields == tuple(EVENT_OUTPUTS)
