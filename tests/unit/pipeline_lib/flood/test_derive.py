"""Flood from water: invariants on random inputs, a slow literal twin, chunk independence, and each reason to exclude."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from pipeline_lib.errors import ContractError
from pipeline_lib.flood import derive_flood, reference_water
from pipeline_lib.flood.archive import archive_statistics
from pipeline_lib.flood.derive import OUTPUTS
from pipeline_lib.flood.objects import drop_small
from pipeline_lib.flood.usual_rise import MAX_RISE_DB, usual_rise_db
from pipeline_lib.model import Advisory, Exclusion, check_flood_map
from pipeline_lib.options.derive import DeriveOptions, ReferenceOptions


def layer(values, dtype=None):
    values = np.asarray(values, dtype)
    rows, columns = values.shape
    coords = {"y": 4_900_000.0 - 10 * np.arange(rows), "x": 500_000.0 + 10 * np.arange(columns)}
    return xr.DataArray(values, dims=("y", "x"), coords=coords, attrs={"units": "1"})


def water_of(water, likelihood=None, excluded=None):
    water = np.asarray(water, np.uint8)
    guess = np.where(water == 1, 0.9, 0.1) if likelihood is None else likelihood
    return xr.Dataset(
        {
            "water": layer(water),
            "likelihood": layer(np.where(water == 255, np.nan, guess), np.float32),
            "excluded": layer(np.zeros(water.shape) if excluded is None else excluded, np.uint16),
        }
    )


def scene_of(shape, vv=0.08, vh=0.016):
    power = {"vv": np.broadcast_to(vv, shape), "vh": np.broadcast_to(vh, shape)}
    return xr.Dataset({name: layer(band, np.float32) for name, band in power.items()}, attrs={"backscatter": "gamma0"})


def history_of(shape, vv=0.08, vh=0.016, passes=5):
    stack = {"vv": np.broadcast_to(vv, (passes, *shape)), "vh": np.broadcast_to(vh, (passes, *shape))}
    template = layer(np.zeros(shape))
    return xr.Dataset(
        {name: (("time", "y", "x"), band.astype(np.float32)) for name, band in stack.items()}, coords=template.coords
    )


def check_invariants(flood):
    """GFM's definitions, on every pixel that was observed and is not excluded."""
    check_flood_map(flood)
    f, w, r, e = (flood[name].values for name in ("flood_extent", "water_extent", "reference_water", "exclusion"))
    clear = (f != 255) & (e == 0)
    is_reference = np.isin(r, (1, 2))
    assert set(np.unique(f[clear])) <= {0, 1}
    assert (w[clear] == ((f == 1) | is_reference)[clear]).all()
    assert not ((f == 1) & is_reference).any()
    assert ((f == 254) == ((e > 0) & (f != 255))).all()
    assert ((f == 255) == (flood["likelihood"].values == 255)).all()
    assert (e[f == 255] == 0).all()
    classes = flood["flood_class"].values
    assert (np.isin(classes, (2, 3, 4)) == (f == 1)).all()
    assert ((classes == 1) == (clear & is_reference)).all()


codes = st.sampled_from([0, 0, 1, 1, 255])


@settings(max_examples=20)
@given(st.data())
def test_invariants_hold_on_any_input(data):
    seed, size = data.draw(st.integers(0, 10_000)), data.draw(st.integers(6, 30))
    rng = np.random.default_rng(seed)
    water = rng.choice([0, 1, 255], (size, size), p=[0.5, 0.4, 0.1])
    reference = layer(rng.choice([0, 1, 2, 255], (size, size), p=[0.6, 0.15, 0.15, 0.1]), np.uint8)
    excluded = rng.choice([0, 64], (size, size), p=[0.9, 0.1])
    terrain = xr.Dataset(
        {
            "slope_deg": layer(rng.uniform(0, 20, (size, size)), np.float32),
            "hand_m": layer(rng.uniform(0, 40, (size, size)), np.float32),
        }
    )
    options = DeriveOptions(
        min_mapping_unit_m2=data.draw(st.sampled_from([0.0, 500.0, 2000.0])),
        unknown_reference=data.draw(st.sampled_from(["exclude", "flood"])),
    )
    power = rng.gamma(4.4, 0.1 / 4.4, (size, size))
    history = history_of((size, size), vv=0.02) if data.draw(st.booleans()) else None
    flood = derive_flood(
        water_of(water, excluded=excluded), reference, terrain, scene_of((size, size), vv=power), options, history
    ).compute()
    check_invariants(flood)
    assert list(flood.data_vars) == list(OUTPUTS)


def test_flood_is_water_that_is_not_reference_water_literally():
    rng = np.random.default_rng(3)
    water, reference = rng.integers(0, 2, (40, 50)), rng.integers(0, 3, (40, 50))
    flood = derive_flood(
        water_of(water), layer(reference, np.uint8), None, scene_of((40, 50)), DeriveOptions(min_mapping_unit_m2=1000)
    ).compute()
    objects, count = label((water == 1) & (reference == 0), np.ones((3, 3)))
    expected = np.zeros(water.shape, bool)
    for one in range(1, count + 1):
        if (objects == one).sum() >= 10:
            expected |= objects == one
    assert (flood["flood_extent"].values == expected).all()


def test_result_does_not_depend_on_chunks():
    rng = np.random.default_rng(5)
    shape = (180, 210)
    water, power = rng.choice([0, 1], shape, p=[0.75, 0.25]), rng.gamma(4.4, 0.1 / 4.4, shape)
    inputs = (
        water_of(water),
        layer(rng.integers(0, 3, shape), np.uint8),
        scene_of(shape, vv=power),
        history_of(shape, vv=0.03),
    )

    def run(chunk):
        extent, reference, scene, history = (one.chunk({"y": chunk, "x": chunk}) if chunk else one for one in inputs)
        return derive_flood(extent, reference, None, scene, DeriveOptions(), history).compute()

    whole = run(None)
    for chunk in (37, 64, 500):
        xr.testing.assert_identical(run(chunk), whole)


def test_small_windows_give_the_same_flood_as_one_window():
    """No seam: windows with their halo find exactly the objects that one look at the whole grid finds."""
    rng = np.random.default_rng(11)
    shape = (150, 170)
    power = rng.gamma(4.4, 0.1 / 4.4, shape)
    water, reference = water_of(rng.choice([0, 1], shape, p=[0.7, 0.3])), layer(np.zeros(shape), np.uint8)
    history = history_of(shape, vv=0.03)
    options = DeriveOptions(advisory_cell_m=160.0)

    def run(size):
        scene = scene_of(shape, vv=power)
        return derive_flood(water, reference, None, scene, options, history, block_px=size).compute()

    whole = run(1024)
    for size in (32, 48):
        xr.testing.assert_identical(run(size), whole)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_dropping_small_objects_is_idempotent_and_never_adds(seed, least):
    mask = np.random.default_rng(seed).random((25, 25)) < 0.3
    once = drop_small(mask, least)
    assert not (once & ~mask).any()
    assert (drop_small(once, least) == once).all()
    labels, _ = label(once, np.ones((3, 3)))
    assert (np.bincount(labels.ravel())[1:] >= least).all()


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (Exclusion.STEEP_SLOPE, {"slope_deg": 30.0}),
        (Exclusion.HIGH_ABOVE_DRAINAGE, {"hand_m": 60.0}),
        (Exclusion.NO_SENSITIVITY, {"incidence": 75.0}),
        (Exclusion.SHADOW, {"layover_shadow": 1}),
        (Exclusion.LAYOVER, {"layover_shadow": 2}),
        (Exclusion.DENSE_VEGETATION, {"vh": 0.1}),
        (Exclusion.URBAN, {"vv": 0.6}),
        (Exclusion.LOW_BACKSCATTER, {"vv": 0.01, "vh": 0.001}),
    ],
)
def test_each_reason_excludes_and_is_told(reason, change):
    shape = (40, 40)
    there = np.zeros(shape, bool)
    there[10:30, 10:30] = True
    terrain = xr.Dataset(
        {name: layer(np.where(there, change.get(name, 1.0), 1.0), np.float32) for name in ("slope_deg", "hand_m")}
    )
    scene = scene_of(shape)
    if "incidence" in change:
        scene["local_incidence_angle"] = layer(np.where(there, change["incidence"], 38.0), np.float32)
    if "layover_shadow" in change:
        scene["layover_shadow"] = layer(np.where(there, change["layover_shadow"], 0), np.uint8)
    history = history_of(
        shape, vv=np.where(there, change.get("vv", 0.08), 0.08), vh=np.where(there, change.get("vh", 0.016), 0.016)
    )
    flood = derive_flood(
        water_of(np.ones(shape)), layer(np.zeros(shape), np.uint8), terrain, scene, DeriveOptions(), history
    ).compute()
    flags = flood["exclusion"].values
    assert (flags[15:25, 15:25] == reason.value).all()
    assert (flood["flood_extent"].values[15:25, 15:25] == 254).all()
    assert (flags[:5] == 0).all()
    assert (flood["flood_extent"].values[:5] == 1).all()


@pytest.mark.parametrize("kind", [1, 2])
def test_terrain_does_not_exclude_a_lake_on_a_plateau(kind):
    terrain = xr.Dataset({"hand_m": layer(np.full((20, 20), 80.0), np.float32)})
    flood = derive_flood(
        water_of(np.ones((20, 20))), layer(np.full((20, 20), kind), np.uint8), terrain, scene_of((20, 20))
    ).compute()
    assert (flood["exclusion"].values == 0).all()
    assert (flood["water_extent"].values == 1).all()


def test_water_without_any_reference_is_water_but_not_flood():
    unknown = layer(np.full((20, 20), 255), np.uint8)
    flood = derive_flood(water_of(np.ones((20, 20))), unknown, None, scene_of((20, 20))).compute()
    assert (flood["exclusion"].values == Exclusion.NO_REFERENCE).all()
    assert (flood["flood_extent"].values == 254).all()
    assert (flood["water_extent"].values == 1).all()
    taken = derive_flood(
        water_of(np.ones((20, 20))), unknown, None, scene_of((20, 20)), DeriveOptions(unknown_reference="flood")
    ).compute()
    assert (taken["flood_extent"].values == 1).all()


def test_brightening_beside_open_flood_is_flooded_vegetation_and_elsewhere_is_nothing():
    shape = (60, 160)
    water = np.zeros(shape, np.uint8)
    water[20:40, 20:40] = 1
    bright = np.zeros(shape, bool)
    bright[20:40, 45:60] = True
    bright[20:40, 140:155] = True
    vv = np.where(water == 1, 0.01, np.where(bright, 0.08 * 10**0.5, 0.08))
    flood = derive_flood(
        water_of(water),
        layer(np.zeros(shape), np.uint8),
        None,
        scene_of(shape, vv=vv),
        DeriveOptions(),
        history_of(shape),
    ).compute()
    classes = flood["flood_class"].values
    assert (classes[25:35, 48:57] == 3).all()
    assert (classes[:, 120:] == 0).all(), "800 m from any open flood"
    assert (flood["likelihood"].values[25:35, 48:57] <= 80).all()
    assert (flood["likelihood"].values[25:35, 48:57] >= 55).all()
    off = DeriveOptions.model_validate({"brightening": {"enabled": False}})
    assert not (
        derive_flood(
            water_of(water), layer(np.zeros(shape), np.uint8), None, scene_of(shape, vv=vv), off, history_of(shape)
        )["flood_class"]
        == 3
    ).any()


@pytest.mark.parametrize(
    ("slope_deg", "forest_vh_db", "urban_vv_db", "code"),
    [
        (1.0, None, None, 1),
        (1.0, -15.0, None, 1),  # what brightens in a forest or between houses overrules that they were excluded
        (1.0, None, -8.0, 1),
        (30.0, None, None, 254),  # ... but a slope stays one
        (30.0, -15.0, -8.0, 254),
    ],
)
def test_brightening_overrules_forest_and_town_alone(slope_deg, forest_vh_db, urban_vv_db, code):
    shape = (60, 100)
    water, bright = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    water[20:40, 20:40] = 1
    bright[20:40, 45:60] = True
    usual = np.where(bright, 3.0, 1.0)  # -6.2 dB in VV and -13.2 dB in VH where it brightens, 4.8 dB less around
    scene = scene_of(shape, vv=np.where(water == 1, 0.01, 0.08 * usual * np.where(bright, 10**0.5, 1)))
    terrain = xr.Dataset({"slope_deg": layer(np.where(bright, slope_deg, 1.0), np.float32)})
    options = DeriveOptions(forest_vh_db=forest_vh_db, urban_vv_db=urban_vv_db)
    archive = history_of(shape, vv=0.08 * usual, vh=0.016 * usual)
    flood = derive_flood(water_of(water), layer(np.zeros(shape), np.uint8), terrain, scene, options, archive).compute()
    assert (flood["flood_extent"].values[25:35, 48:57] == code).all()
    check_invariants(flood)


def test_a_weaker_rise_leaves_doubt_that_widens_the_range():
    shape = (60, 120)
    water = np.zeros(shape, np.uint8)
    water[20:40, 20:40] = 1
    doubted = np.zeros(shape, bool)
    doubted[15:45, 42:72] = True
    rise_db = 0.8 * DeriveOptions().brightening.min_deviations * DeriveOptions().brightening.min_deviation_db
    assert rise_db < DeriveOptions().brightening.min_rise_db
    vv = np.where(water == 1, 0.01, np.where(doubted, 0.08 * 10 ** (rise_db / 10), 0.08))
    flood = derive_flood(
        water_of(water), layer(np.zeros(shape), np.uint8), None, scene_of(shape, vv=vv), None, history_of(shape)
    ).compute()
    inner = flood.isel(y=slice(25, 35), x=slice(52, 62))
    assert (inner["flood_class"].values == 0).all()
    assert ((inner["likelihood"].values > 25) & (inner["likelihood"].values < 50)).all()
    check_invariants(flood)


@pytest.mark.parametrize(
    ("channels_db", "uneven_db", "rise_db", "found"),
    [
        (9.0, 2.0, 1.6, 4),  # houses: co- far over cross-polarised, uneven; a small rise counts
        (9.0, 2.0, 0.4, 0),
        (5.5, 0.3, 1.6, 0),  # a canopy as bright: the rise is too small for a stand ...
        (5.5, 0.3, 4.0, 3),  # ... and a large one is vegetation, not a town
    ],
)
def test_towns_are_told_from_stands_by_what_their_archive_looks_like(channels_db, uneven_db, rise_db, found):
    shape = (60, 120)
    rng = np.random.default_rng(8)
    water, ground, bright = np.zeros(shape, np.uint8), np.full(shape, -11.0), np.zeros(shape, bool)
    water[20:40, 20:40] = 1
    bright[15:45, 42:72] = True
    blocks = np.repeat(np.repeat(rng.normal(0, 1, (10, 20)), 6, axis=0), 6, axis=1)
    ground = np.where(bright, -6.0 + uneven_db * blocks, ground)
    gap = np.where(bright, channels_db, 7.0)
    vv, vh = 10 ** (ground / 10), 10 ** ((ground - gap) / 10)
    scene = scene_of(shape, vv=np.where(water == 1, 0.01, vv * 10 ** (rise_db * bright / 10)), vh=vh)
    options = DeriveOptions(forest_vh_db=None, urban_vv_db=None)
    archive = history_of(shape, vv=vv, vh=vh)
    flood = derive_flood(water_of(water), layer(np.zeros(shape), np.uint8), None, scene, options, archive).compute()
    inner = flood["flood_class"].values[22:38, 50:66]
    assert np.mean(inner == found) > 0.9
    check_invariants(flood)


@pytest.mark.parametrize(("rain_db", "cross_db"), [(2.5, 0.0), (2.5, 2.5), (0.0, 4.0)])
def test_what_rain_does_to_all_land_and_growth_to_both_channels_is_no_flood(rain_db, cross_db):
    shape = (120, 200)
    water = np.zeros(shape, np.uint8)
    water[20:40, 20:40] = 1
    grown = np.zeros(shape, bool)
    grown[20:50, 42:72] = rain_db == 0
    vv = 0.08 * 10 ** ((rain_db + 4.0 * grown) / 10)
    vh = 0.016 * 10 ** (cross_db * (grown | (rain_db > 0)) / 10)
    scene = scene_of(shape, vv=np.where(water == 1, 0.01, vv), vh=np.where(water == 1, 0.002, vh))
    flood = derive_flood(
        water_of(water), layer(np.zeros(shape), np.uint8), None, scene, None, history_of(shape)
    ).compute()
    assert set(np.unique(flood["flood_class"].values)) == {0, 2}
    check_invariants(flood)


class TestUsualRise:
    """The median change of dry land, against the same said literally."""

    def rise_of(self, change_db, water, reference=None, reach_px=5):
        rng = np.random.default_rng(3)
        mean = rng.normal(-10, 2, water.shape).astype(np.float32)
        power = 10 ** ((mean + change_db) / 10)
        known = np.zeros(water.shape, np.uint8) if reference is None else reference
        layers = [layer(each) for each in (water, known, power.astype(np.float32), mean)]
        return usual_rise_db(*layers, smoothing_px=1, reach_px=reach_px)

    def test_it_is_the_median_of_dry_land_far_from_open_flood(self):
        shape = (200, 200)
        water = np.zeros(shape, np.uint8)
        water[:, :100] = 1
        water[150:] = 255
        change = np.where(np.arange(200) < 105, 9.0, np.linspace(0.5, 2.5, 200))[None, :] * np.ones((200, 1))
        assert self.rise_of(change, water) == pytest.approx(np.median(change[:150, 105:]), abs=0.01)

    def test_darker_land_says_nothing_and_neither_does_little_land(self):
        shape = (100, 100)
        assert self.rise_of(np.full(shape, -3.0), np.zeros(shape, np.uint8)) == 0
        water = np.full(shape, 255, np.uint8)
        water[:20, :20] = 0
        assert self.rise_of(np.full(shape, 2.0), water) == 0

    def test_it_is_bounded(self):
        shape = (100, 100)
        assert self.rise_of(np.full(shape, 20.0), np.zeros(shape, np.uint8)) == MAX_RISE_DB

    def test_without_land_far_from_flood_all_dry_land_counts(self):
        shape = (100, 100)
        water = np.zeros(shape, np.uint8)
        water[::4] = 1
        assert self.rise_of(np.full(shape, 1.5), water, reach_px=20) == pytest.approx(1.5, abs=0.01)


def test_advisories():
    shape = (256, 256)
    reference = np.zeros(shape, np.uint8)
    reference[:100] = 1
    rough = derive_flood(
        water_of(np.zeros(shape)), layer(reference), None, scene_of(shape), None, history_of(shape)
    ).compute()
    assert (rough["advisory"].values == Advisory.ROUGH_WATER).all()
    frozen = derive_flood(
        water_of(np.zeros(shape)),
        layer(np.zeros(shape), np.uint8),
        None,
        scene_of(shape, vv=0.08 / 4, vh=0.016 / 4),
        None,
        history_of(shape),
    ).compute()
    assert (frozen["advisory"].values & Advisory.FROZEN_OR_WET_SNOW).all()
    calm = derive_flood(water_of(reference), layer(reference), None, scene_of(shape), None, history_of(shape)).compute()
    assert (calm["advisory"].values == 0).all()


def test_uncertainty_is_the_probability_of_the_other_class():
    likelihood = np.linspace(0, 1, 100).reshape(10, 10)
    flood = derive_flood(
        water_of(np.zeros((10, 10)), likelihood), layer(np.zeros((10, 10)), np.uint8), None, scene_of((10, 10))
    ).compute()
    percent = flood["likelihood"].values.astype(int)
    assert (percent == np.rint(likelihood.astype(np.float32) * 100)).all()
    assert (flood["uncertainty"].values == np.minimum(percent, 100 - percent)).all()


def test_a_detector_that_decides_by_another_limit_keeps_its_own_doubt():
    """Dry at P 0.7 because the limit is 0.8: likelihood is brought below one half, the doubt stays 30 percent."""
    water = water_of(np.zeros((10, 10)), np.full((10, 10), 0.4999))
    water["uncertainty"] = layer(np.full((10, 10), 30), np.uint8)
    flood = derive_flood(water, layer(np.zeros((10, 10)), np.uint8), None, scene_of((10, 10))).compute()
    assert (flood["likelihood"] == 50).all()
    assert (flood["uncertainty"] == 30).all()


def test_the_layers_say_what_their_codes_mean():
    shape = (20, 30)
    flood = derive_flood(
        water_of(np.zeros(shape, np.uint8)), layer(np.zeros(shape), np.uint8), None, scene_of(shape), None, None
    )
    masks = {
        name: dict(zip(flood[name].attrs["flag_meanings"].split(), flood[name].attrs["flag_masks"], strict=True))
        for name in ("exclusion", "advisory")
    }
    assert masks["exclusion"] == {reason.name.lower(): reason.value for reason in Exclusion}
    assert masks["advisory"] == {note.name.lower(): note.value for note in Advisory}
    codes = {
        "flood_extent": "no_flood flood", "water_extent": "dry water",
        "flood_class": "dry reference_water open_flood flooded_vegetation flooded_town",
    }  # fmt: skip
    for name, meanings in codes.items():
        named = [*meanings.split(), "excluded", "not_observed"]
        assert flood[name].attrs["flag_meanings"].split() == named
        assert flood[name].attrs["flag_values"] == [*range(len(named) - 2), 254, 255]


def test_a_broken_water_extent_is_refused():
    water = water_of(np.zeros((5, 5)))
    water["water"] = water["water"].astype(np.int16)
    with pytest.raises(ContractError, match="int16"):
        derive_flood(water, layer(np.zeros((5, 5)), np.uint8), None, scene_of((5, 5)))


class TestReferenceWater:
    shape = (30, 40)

    def test_occurrence_alone(self):
        percent = np.full(self.shape, np.nan)
        percent[:, :10], percent[:, 10:20], percent[:, 20:30] = 90, 40, 5
        found = reference_water(layer(percent, np.float32), None).values
        assert [set(np.unique(found[:, a : a + 10])) for a in (0, 10, 20, 30)] == [{1}, {2}, {0}, {255}]

    def test_archive_alone(self):
        dark = np.zeros((6, *self.shape), bool)
        dark[:, :, :10] = True
        dark[:4, :, 10:20] = True
        dark[0, :, 20:] = True
        history = history_of(self.shape, vv=np.where(dark, 0.01, 0.08), vh=np.where(dark, 0.001, 0.016), passes=6)
        found = reference_water(None, history).values
        assert [set(np.unique(found[:, a : a + 4])) for a in (3, 13, 33)] == [{1}, {2}, {0}]

    def test_two_passes_cannot_call_water_permanent(self):
        found = reference_water(None, history_of(self.shape, vv=0.01, vh=0.001, passes=2)).values
        assert (found == 2).all()

    def test_dark_land_that_the_long_record_knows_as_dry_is_not_water(self):
        history = history_of(self.shape, vv=0.01, vh=0.001)
        assert (reference_water(layer(np.zeros(self.shape), np.float32), history).values == 0).all()

    def test_twelve_months_are_permanent(self):
        found = reference_water(
            layer(np.full(self.shape, 30.0), np.float32), None, seasonality=layer(np.full(self.shape, 12.0), np.float32)
        )
        assert (found.values == 1).all()

    def test_no_witness_is_unknown_everywhere(self):
        assert (reference_water(None, None, like=layer(np.zeros(self.shape))).values == 255).all()
        with pytest.raises(ValueError, match="like="):
            reference_water(None, None)

    def test_unobserved_archive_pixels_are_unknown(self):
        history = history_of(self.shape)
        history["vv"][:, :10] = np.nan
        found = reference_water(None, history, ReferenceOptions()).values
        assert (found[:10] == 255).all()
        assert (found[10:] == 0).all()


@pytest.mark.parametrize(("limit", "outwards"), [("min_incidence_deg", -99), ("max_incidence_deg", 99)])
def test_the_angles_at_the_limits_still_tell_water(limit, outwards):
    shape = (20, 20)
    value = np.float32(getattr(DeriveOptions(), limit))
    for angle, code in ((value, 1), (np.nextafter(value, np.float32(outwards)), 254)):
        scene = scene_of(shape)
        scene["local_incidence_angle"] = layer(np.full(shape, angle), np.float32)
        flood = derive_flood(water_of(np.ones(shape)), layer(np.zeros(shape), np.uint8), None, scene)
        assert (flood["flood_extent"].values == code).all()


def test_a_limit_itself_is_not_beyond_the_limit():
    options, shape = DeriveOptions(), (20, 20)
    at = {"slope_deg": np.float32(options.max_slope_deg), "hand_m": np.float32(options.max_hand_m)}
    for name, value in at.items():
        for beyond in (False, True):
            here = np.nextafter(value, np.float32(99)) if beyond else value
            terrain = xr.Dataset({name: layer(np.full(shape, here), np.float32)})
            flood = derive_flood(water_of(np.ones(shape)), layer(np.zeros(shape), np.uint8), terrain, scene_of(shape))
            assert (flood["flood_extent"].values == (254 if beyond else 1)).all()


@pytest.mark.parametrize("power", [{"vv": 0.01, "vh": 0.001}, {"vv": 0.6}, {"vh": 0.1}])
def test_too_few_passes_tell_nothing_of_the_land(power):
    shape, least = (20, 20), DeriveOptions().reference.min_passes
    args = water_of(np.ones(shape)), layer(np.zeros(shape), np.uint8), None, scene_of(shape), None
    few, enough = (derive_flood(*args, history_of(shape, **power, passes=count)) for count in (least - 1, least))
    assert (few["exclusion"].values == 0).all()
    assert (enough["exclusion"].values > 0).all()


def test_a_history_may_be_empty_or_summed_up_already():
    shape = (20, 20)
    args = water_of(np.ones(shape)), layer(np.zeros(shape), np.uint8), None, scene_of(shape), None
    history = history_of(shape, vv=0.6)
    xr.testing.assert_identical(
        derive_flood(*args, history.isel(time=slice(0))).compute(), derive_flood(*args).compute()
    )
    summed = archive_statistics(history, DeriveOptions().reference)
    xr.testing.assert_identical(derive_flood(*args, summed).compute(), derive_flood(*args, history).compute())


def test_advisories_are_given_in_cells_of_the_size_asked_for():
    reference = np.zeros((64, 64), np.uint8)
    reference[:, :32] = 1
    options = DeriveOptions(advisory_cell_m=160.0)
    args = water_of(np.zeros((64, 64))), layer(reference), None, scene_of((64, 64)), options, history_of((64, 64))
    advisory = derive_flood(*args)["advisory"].values
    assert (advisory[:, :32] == Advisory.ROUGH_WATER).all()
    assert (advisory[:, 32:] == 0).all()


def test_an_advisory_cell_smaller_than_a_pixel_is_one_pixel(monkeypatch):
    seen = []
    monkeypatch.setattr("pipeline_lib.flood.derive.advisory_flags", lambda evidence, cell_px, _: (
        seen.append(cell_px), np.zeros(evidence.water.shape, np.uint8))[1])  # fmt: skip
    args = water_of(np.zeros((8, 8))), layer(np.zeros((8, 8)), np.uint8), None, scene_of((8, 8))
    for cell_m in (3.0, 10.0, 24.0):
        derive_flood(*args, DeriveOptions(advisory_cell_m=cell_m)).compute()
    assert sorted(set(seen)) == [1, 2]


def test_the_codes_of_reference_water_stand_in_its_attributes():
    attrs = derive_flood(water_of(np.ones((4, 4))), layer(np.zeros((4, 4)), np.uint8), None, scene_of((4, 4)))[
        "reference_water"
    ].attrs
    assert attrs["flag_values"] == [0, 1, 2, 255]
    assert attrs["flag_meanings"].split() == ["none", "permanent", "seasonal", "unknown"]
