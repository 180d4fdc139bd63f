"""Blocks widened by their neighbours' pixels, against slices of the whole plane."""

import dask
import dask.array as da
import numpy as np
import pytest

from pipeline_lib.halo import AHEAD, with_halo


def starts(sizes: tuple[int, ...]) -> list[int]:
    return [0, *np.cumsum(sizes)[:-1].tolist()]


def literal(plane: np.ndarray, chunks, place: tuple[int, int], halo_px: int, beyond: float | None) -> np.ndarray:
    """The block with its halo, cut from the plane itself."""
    first = [starts(sizes)[at] for sizes, at in zip(chunks, place, strict=True)]
    last = [start + sizes[at] for start, sizes, at in zip(first, chunks, place, strict=True)]
    if beyond is None:
        rows, columns = (slice(max(a - halo_px, 0), b + halo_px) for a, b in zip(first, last, strict=True))
        return plane[..., rows, columns]
    wide = np.pad(plane, [(0, 0)] * (plane.ndim - 2) + [(halo_px, halo_px)] * 2, constant_values=beyond)
    return wide[..., first[0] : last[0] + 2 * halo_px, first[1] : last[1] + 2 * halo_px]


@pytest.mark.parametrize("beyond", [None, np.nan])
@pytest.mark.parametrize("halo_px", [1, 3, 5])
@pytest.mark.parametrize("bands", [None, 2])
def test_each_block_is_a_slice_of_the_plane(halo_px, beyond, bands):
    chunks = ((7, 5, 9), (6, 6, 11, 5))
    shape = (21, 28) if bands is None else (bands, 21, 28)
    plane = np.random.default_rng(0).random(shape).astype(np.float32)
    leading = () if bands is None else ((bands,),)
    widened = with_halo(da.from_array(plane, chunks=leading + chunks), halo_px, beyond)
    assert widened.dtype == np.float32
    for place in np.ndindex(3, 4):
        expected = literal(plane, chunks, place, halo_px, beyond)
        found = widened.blocks[(slice(None), *place) if bands else place].compute()
        np.testing.assert_array_equal(found, expected)
        assert found.shape[-2:] == tuple(sizes[at] for sizes, at in zip(widened.chunks[-2:], place, strict=True))


def test_nothing_is_done_where_there_is_nothing_to_lend():
    several, one = da.zeros((8, 8), chunks=4), da.zeros((8, 8), chunks=8)
    assert with_halo(several, 0) is several
    assert with_halo(one, 3) is one
    assert with_halo(one, 3, beyond=0).shape == (14, 14)


def test_a_block_cannot_lend_more_than_it_has():
    with pytest.raises(ValueError, match=r"\(3, 8\) pixels cannot lend a halo of 4"):
        with_halo(da.zeros((11, 16), chunks=((8, 3), (8, 8))), 4).compute()


def test_two_halos_of_one_array_do_not_meet():
    plane = da.from_array(np.arange(64).reshape(8, 8), chunks=4)
    one, two = dask.compute(with_halo(plane, 1), with_halo(plane, 2))
    assert one.shape == (10, 10)
    assert two.shape == (12, 12)


def test_no_block_holds_the_memory_of_what_it_was_cut_from():
    plane = np.arange(400.0).reshape(20, 20)
    widened = with_halo(da.from_array(plane, chunks=20).rechunk(10), 2)
    kept = []
    widened.map_blocks(lambda block: kept.append(block) or block, dtype=float, meta=np.empty((0, 0))).compute()
    assert len(kept) == 4
    assert all(block.shape == (12, 12) and block.base is None for block in kept)


def test_a_block_is_not_read_long_before_it_is_needed():
    """A block enters after the one a row and `AHEAD` blocks before it is whole, so that few rows stay in memory."""
    rows, columns = 12, 3
    entered, finished, open_blocks = set(), set(), []

    def read(block, block_info=None):
        entered.add(block_info[0]["chunk-location"])
        open_blocks.append(len(entered) - len(finished))
        return block

    def finish(block, block_info=None):
        finished.add(block_info[0]["chunk-location"])
        return block[:1, :1]

    plane = da.zeros((rows * 4, columns * 4), chunks=4).map_blocks(read, dtype=float, meta=np.empty((0, 0)))
    ends = with_halo(plane, 1).map_blocks(finish, dtype=float, meta=np.empty((0, 0)), chunks=(1, 1))
    with dask.config.set(scheduler="threads", num_workers=2):
        ends.compute()
    assert len(finished) == rows * columns
    assert max(open_blocks) <= 3 * columns + AHEAD + 4
