"""Calibration and thermal noise against the specification written out literally, and against xarray-sentinel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.sar.annotation import AzimuthNoise, LutVector, NoiseLut
from pipeline_lib.sar.calibration import FLOOR, calibrate_block, table_of


def literal_bilinear(vectors, line, pixel):
    """S1-RS-MDA-52-7441, 6.3.2: bilinear between the vectors around the line and the posts around the pixel."""
    below = max((v for v in vectors if v.line <= line), key=lambda v: v.line, default=vectors[0])
    above = min((v for v in vectors if v.line > line), key=lambda v: v.line, default=below)

    def along(vector):
        for k in range(len(vector.pixel) - 1):
            if vector.pixel[k] <= pixel <= vector.pixel[k + 1]:
                w = (pixel - vector.pixel[k]) / (vector.pixel[k + 1] - vector.pixel[k])
                return vector.values[k] * (1 - w) + vector.values[k + 1] * w
        return vector.values[-1] if pixel > vector.pixel[-1] else vector.values[0]

    if above is below:
        return along(below)
    w = (line - below.line) / (above.line - below.line)
    return along(below) * (1 - w) + along(above) * w


def literal_noise(noise, line, pixel):
    """MPC-0392, eq. 9: range noise times the azimuth factor of the block that holds the sample."""
    factor = 1.0
    for block in noise.azimuth_blocks:
        if block.first_line <= line <= block.last_line and block.first_pixel <= pixel <= block.last_pixel:
            factor = float(np.interp(line, block.line, block.values))
    return literal_bilinear(noise.range_vectors, line, pixel) * factor


@pytest.fixture(scope="module")
def numbers():
    return np.random.default_rng(3).integers(0, 900, (96, 128)).astype(np.uint16)


PLACES = [(0, 0), (655, 8880), (9990, 17800), (16609, 25974)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("backscatter", ["beta0", "sigma0", "gamma0"])
def test_real_tables_against_the_specification_written_out(rome, numbers, place, backscatter):
    table = table_of(rome.calibration, backscatter)
    block = calibrate_block(numbers, table, rome.noise, first_line=place[0], first_pixel=place[1], floor=-1e9)
    for i, j in [(0, 0), (3, 17), (50, 90), (95, 127), (60, 8)]:
        line, pixel = place[0] + i, place[1] + j
        wanted = float(numbers[i, j]) ** 2 - literal_noise(rome.noise, line, pixel)
        wanted /= literal_bilinear(table, line, pixel) ** 2
        assert block[i, j] == pytest.approx(wanted, rel=3e-5, abs=1e-6) or numbers[i, j] == 0


def test_the_three_swaths_have_their_own_azimuth_noise(rome):
    assert [block.swath for block in rome.noise.azimuth_blocks] == ["IW1", "IW2", "IW3"]
    line = 4000
    factors = [
        literal_noise(rome.noise, line, p) / literal_bilinear(rome.noise.range_vectors, line, p)
        for p in (100, 13000, 25000)
    ]
    assert len({round(factor, 3) for factor in factors}) == 3


def test_against_xarray_sentinel_where_it_is_right(rome_safe, rome, numbers):
    xarray_sentinel = pytest.importorskip("xarray_sentinel")
    groups = {
        name: xarray_sentinel.open_sentinel1_dataset(str(rome_safe), group=f"IW/VV/{name}")
        for name in ("calibration", "noise_range")
    }
    line, pixel = np.arange(7000, 7096), np.arange(13000, 13128)
    for ours, theirs in (("sigma0", "sigmaNought"), ("beta0", "betaNought"), ("gamma0", "gamma")):
        lut = groups["calibration"][theirs].interp(line=line, pixel=pixel).to_numpy()
        block = calibrate_block(
            numbers, table_of(rome.calibration, ours), None, first_line=7000, first_pixel=13000, floor=0
        )
        valid = numbers > 0
        np.testing.assert_allclose(block[valid], (numbers.astype(float) ** 2 / lut**2)[valid], rtol=2e-5)
    noise = groups["noise_range"].noiseRangeLut.interp(line=line, pixel=pixel).to_numpy()
    without = NoiseLut(range_vectors=rome.noise.range_vectors, azimuth_blocks=())
    unit = (LutVector(line=0, pixel=np.array([0.0, 3e4]), values=np.ones(2)),)
    block = calibrate_block(numbers, unit, without, first_line=7000, first_pixel=13000, floor=-1e9)
    np.testing.assert_allclose((numbers.astype(float) ** 2 - block)[valid], noise[valid], rtol=1e-3, atol=0.1)


@given(row=st.integers(1, 95), column=st.integers(1, 127))
def test_any_cut_gives_the_same_pixels(rome, numbers, row, column):
    table = table_of(rome.calibration, "sigma0")

    def run(rows, columns):
        return calibrate_block(
            np.ascontiguousarray(numbers[rows, columns]),
            table,
            rome.noise,
            first_line=8000 + rows.start,
            first_pixel=8850 + columns.start,
        )

    whole = run(slice(0, 96), slice(0, 128))
    parts = np.block(
        [
            [run(slice(0, row), slice(0, column)), run(slice(0, row), slice(column, 128))],
            [run(slice(row, 96), slice(0, column)), run(slice(row, 96), slice(column, 128))],
        ]
    )
    np.testing.assert_array_equal(whole, parts)


def test_no_data_stays_no_data_and_noise_never_makes_it_a_value(rome):
    block = calibrate_block(
        np.zeros((4, 5), np.uint16), rome.calibration.beta0, rome.noise, first_line=0, first_pixel=0
    )
    assert np.isnan(block).all()


def test_below_the_noise_is_observed_and_dark(rome):
    block = calibrate_block(
        np.full((2, 2), 3, np.uint16), rome.calibration.sigma0, rome.noise, first_line=9, first_pixel=9
    )
    assert (block == np.float32(FLOOR)).all()


@given(low=st.integers(1, 60000), more=st.integers(1, 5000))
def test_brighter_numbers_are_never_darker(low, more):
    table = (LutVector(line=0, pixel=np.array([0.0, 9.0]), values=np.array([400.0, 420.0])),)
    noise = NoiseLut(
        range_vectors=(LutVector(line=0, pixel=np.array([0.0]), values=np.array([900.0])),), azimuth_blocks=()
    )
    pair = calibrate_block(np.array([[low, low + more]], np.uint16), table, noise, first_line=0, first_pixel=3)[0]
    assert pair[1] >= pair[0] * np.float32(0.98)


def test_azimuth_blocks_end_where_they_say():
    noise = NoiseLut(
        range_vectors=(LutVector(line=0, pixel=np.array([0.0]), values=np.array([100.0])),),
        azimuth_blocks=(
            AzimuthNoise(
                swath="IW1",
                first_line=2,
                last_line=3,
                first_pixel=1,
                last_pixel=2,
                line=np.array([0.0, 9.0]),
                values=np.array([2.0, 2.0]),
            ),
        ),
    )
    unit = (LutVector(line=0, pixel=np.array([0.0]), values=np.array([1.0])),)
    block = calibrate_block(np.full((6, 4), 100, np.uint16), unit, noise, first_line=0, first_pixel=0)
    wanted = np.full((6, 4), 9900.0)
    wanted[2:4, 1:3] = 9800.0
    np.testing.assert_allclose(block, wanted)
