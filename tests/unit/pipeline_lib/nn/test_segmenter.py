"""Inference: the same pixels whatever the chunks, tiles or backend; no data stays no data; memory runs out gracefully."""

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import xarray as xr

from pipeline_lib.errors import ContractError, InputError, ModelError, UnknownNameError
from pipeline_lib.nn import gpu
from pipeline_lib.nn.backends import choose_backend, open_backend
from pipeline_lib.nn.ensemble import ensemble_likelihood
from pipeline_lib.nn.export import quantize_onnx
from pipeline_lib.nn.inputs import fixed_scale, grey_contract, normalise, sar_contract, to_db
from pipeline_lib.nn.model_folder import CARD, INT8
from pipeline_lib.nn.model_writer import rewrite_card
from pipeline_lib.nn.predict import odds_of
from pipeline_lib.nn.segmenter import PixelSizeWarning, Segmenter
from pipeline_lib.nn.tiles import OutOfMemory
from pipeline_lib.nn.tiling import Runner, halo_odds, hann
from pipeline_lib.options.learned import LearnedOptions
from pipeline_lib.water.learned import LearnedDetector


def make_scene(shape: tuple[int, int] = (150, 171), seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    powers = {"vv": 0.06, "vh": 0.012}
    scene = xr.Dataset(
        {
            name: (("y", "x"), rng.gamma(4, power / 4, shape).astype(np.float32), {"units": "1"})
            for name, power in powers.items()
        },
        coords={"y": -10.0 * np.arange(shape[0]), "x": 10.0 * np.arange(shape[1])},
        attrs={"backscatter": "gamma0"},
    )
    for name in powers:
        scene[name][20:40, 30:60] = np.nan
    return scene


@pytest.fixture(scope="module")
def scene() -> xr.Dataset:
    return make_scene()


def test_tiled_is_the_network_on_the_whole_scene(small_model, scene) -> None:
    """The oracle: one forward pass over the scene set in a field of "not observed", no tiles, no Dask."""
    segmenter = Segmenter.load(small_model.folder, "cpu", tile=64)
    contract, margin = small_model.card.inputs, small_model.card.halo_px
    power = np.stack([scene["vv"].values, scene["vh"].values])
    rows, columns = ((-size) % 8 for size in power.shape[1:])
    field = np.pad(power, ((0, 0), (margin, margin + rows), (margin, margin + columns)), constant_values=np.nan)
    odds = odds_of(small_model.network(), normalise(to_db(field), contract, *fixed_scale(contract)))
    whole = segmenter.calibration.apply(odds[margin : margin + 150, margin : margin + 171])
    ours = segmenter.likelihood(scene).to_numpy()
    seen = np.isfinite(power[0])
    np.testing.assert_allclose(ours[seen], whole[seen], atol=1e-5)
    assert np.isnan(ours[~seen]).all()


@pytest.mark.parametrize("chunks", [{"y": 37, "x": 171}, {"y": 150, "x": 20}, {"y": 64, "x": 64}])
@pytest.mark.parametrize("architecture", ["unet", "pspnet"])
def test_chunks_do_not_matter(architecture: str, chunks, tmp_path, scene, make_model) -> None:
    model = make_model(tmp_path / "m", architecture=architecture)
    segmenter = Segmenter.load(model.folder, "cpu", tile=64)
    plain = segmenter.likelihood(scene).to_numpy()
    chunked = segmenter.likelihood(scene.chunk(chunks))
    assert chunked.dtype == np.float32
    np.testing.assert_allclose(chunked.to_numpy(), plain, atol=1e-6)


@pytest.mark.parametrize("tile", [32, 48, 256])
def test_tiles_do_not_matter_for_a_local_network(tile: int, small_model, scene) -> None:
    results = [Segmenter.load(small_model.folder, "cpu", tile=t).likelihood(scene).to_numpy() for t in (64, tile)]
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)


def test_four_views_do_not_know_left_from_right(small_model, scene) -> None:
    square = scene.isel(y=slice(0, 64), x=slice(0, 64))
    mirrored = square.isel(x=slice(None, None, -1))
    one, four = (Segmenter.load(small_model.folder, "cpu", tile=64, views=views) for views in (1, 4))
    assert np.nanmax(np.abs(one.likelihood(square).to_numpy() - one.likelihood(mirrored).to_numpy()[:, ::-1])) > 1e-3
    found, other = four.likelihood(square).to_numpy(), four.likelihood(mirrored).to_numpy()[:, ::-1]
    np.testing.assert_allclose(found, other, atol=1e-5)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_backends_agree(backend: str, small_model, scene) -> None:
    torch_says = Segmenter.load(small_model.folder, "cpu", tile=64).likelihood(scene).to_numpy()
    segmenter = Segmenter.load(small_model.folder, backend, tile=64)
    assert segmenter.backend == backend
    np.testing.assert_allclose(segmenter.likelihood(scene).to_numpy(), torch_says, atol=1e-4)


@pytest.mark.skipif(not gpu.cuda_devices(), reason="needs a CUDA device; this machine has none that torch can use")
def test_a_gpu_says_what_the_cpu_says_and_is_chosen(small_model, scene) -> None:
    exact = Segmenter.load(small_model.folder, "cpu", tile=64).likelihood(scene).to_numpy()
    chosen = Segmenter.load(small_model.folder, "auto", tile=64)
    assert chosen.backend == "torch-cuda"
    found = chosen.likelihood(scene).to_numpy()
    np.testing.assert_allclose(found, exact, atol=0.01)  # half precision
    np.testing.assert_array_equal(np.isnan(found), np.isnan(exact))


@pytest.mark.slow
def test_int8_is_close_and_chosen_where_it_is(tmp_path, scene, make_model) -> None:
    model = make_model(tmp_path / "m", onnx=True)
    power = np.stack([scene["vv"].values, scene["vh"].values])
    units = np.nan_to_num(normalise(to_db(power), model.card.inputs, *fixed_scale(model.card.inputs)))
    tiles = np.stack([units[:, y : y + 64, x : x + 64] for y in (0, 60) for x in (0, 60)])
    quantize_onnx(model.onnx(), model.folder / INT8, tiles)
    model = rewrite_card(model)
    assert INT8 in model.card.digests
    assert choose_backend(model) == "openvino-int8"
    exact = Segmenter.load(model.folder, "cpu", tile=64).likelihood(scene).to_numpy()
    for backend in ("openvino-int8", "onnxruntime-int8"):
        found = Segmenter.load(model.folder, backend, tile=64).likelihood(scene).to_numpy()
        assert np.nanmax(np.abs(found - exact)) < 0.1
    with pytest.raises(ModelError, match="calibrate"):
        quantize_onnx(model.onnx(), tmp_path / "x.onnx", tiles[:0])


def test_nothing_observed_is_nothing_mapped(small_model) -> None:
    blind = make_scene().map(lambda array: array * np.nan)
    assert np.isnan(Segmenter.load(small_model.folder, "cpu", tile=64).likelihood(blind)).all()


def test_strange_numbers_do_not_break_it(small_model) -> None:
    """Zero, negative, huge and infinite power: cut to the contract's range; the rest of the scene is unharmed."""
    strange = make_scene()
    for k, value in enumerate((0.0, -1.0, 1e9, np.inf)):
        strange["vv"][100 + k, 100] = value
    found = Segmenter.load(small_model.folder, "cpu", tile=64).likelihood(strange).to_numpy()
    assert np.isfinite(found[104:, 90:]).all()
    assert np.isfinite(found[:20]).all()


def test_a_missing_optional_polarisation_is_allowed_and_a_missing_needed_one_not(small_model, scene) -> None:
    segmenter = Segmenter.load(small_model.folder, "cpu", tile=64)
    assert np.isfinite(segmenter.likelihood(scene[["vv"]])).any()
    with pytest.raises(ContractError, match="needs vv"):
        segmenter.likelihood(scene[["vh"]])


def test_history_is_demanded_and_averaged(tmp_path, scene, make_model) -> None:
    model = make_model(tmp_path / "m", contract=sar_contract(before=True))
    segmenter = Segmenter.load(model.folder, "cpu", tile=64)
    with pytest.raises(ContractError, match="history"):
        segmenter.likelihood(scene)
    history = xr.concat([make_scene(seed=k) for k in (1, 2)], dim="time")
    by_mean = segmenter.likelihood(scene, history.mean("time", keep_attrs=True)).to_numpy()
    np.testing.assert_allclose(segmenter.likelihood(scene, history).to_numpy(), by_mean, atol=1e-5)


@pytest.mark.slow
def test_the_card_says_what_of_a_scene_is_zero(tmp_path, scene, make_model) -> None:
    """A model that centres on the 80th percentile sees other numbers than one that centres on the median."""
    contracts = [grey_contract(before=False).model_copy(update={"centre_percentile": q}) for q in (50.0, 80.0)]
    folders = [make_model(tmp_path / f"m{k}", contract=one).folder for k, one in enumerate(contracts)]
    segmenters = [Segmenter.load(folder, "cpu", tile=64) for folder in folders]
    median, high = (segmenter.likelihood(scene).to_numpy() for segmenter in segmenters)
    assert np.nanmax(np.abs(median - high)) > 1e-3


def test_relative_units_do_not_know_the_stretch(tmp_path, scene, make_model) -> None:
    model = make_model(tmp_path / "m", contract=grey_contract(before=False))
    segmenter = Segmenter.load(model.folder, "cpu", tile=64)
    stretched = scene.map(lambda array: (array**1.7 * 3).assign_attrs(units="1"))
    a, b = (segmenter.likelihood(one.chunk({"y": 50})).to_numpy() for one in (scene, stretched))
    np.testing.assert_allclose(a, b, atol=2e-3)


class _Tiny:
    """A backend with room for two tiles."""

    name = "tiny"

    def __init__(self, inner) -> None:
        self.inner, self.sizes = inner, []

    def odds(self, tiles):
        self.sizes.append(len(tiles))
        if len(tiles) > 2:
            raise OutOfMemory("no room")
        return self.inner.odds(tiles)


def test_out_of_memory_halves_the_batch_and_goes_on(small_model, scene) -> None:
    plain = Segmenter.load(small_model.folder, "cpu", tile=32)
    segmenter = Segmenter.load(small_model.folder, "cpu", tile=32, batch=8)
    tiny = _Tiny(plain.runner.backend)
    segmenter.runner.backend = tiny
    found = segmenter.likelihood(scene).compute(scheduler="synchronous")
    np.testing.assert_allclose(found, plain.likelihood(scene), atol=1e-5)
    assert segmenter.halved == [2], "a block has four tiles, and half of them fit"
    assert tiny.sizes[0] == 4
    assert max(tiny.sizes[1:]) == 2


def test_not_even_one_tile_fits() -> None:
    class Full:
        name = "full"

        def odds(self, _tiles):
            raise OutOfMemory("no room")

    with pytest.raises(OutOfMemory):
        Runner(Full(), 4).odds(np.zeros((4, 2, 8, 8), np.float32))


def _numbered(first, count):
    return np.arange(first, first + count, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 4, 4), np.float32)


def test_two_threads_that_run_out_at_once_both_go_on() -> None:
    both = threading.Barrier(2)

    class Small:
        """Room for one tile a call; two calls with two tiles run out at the same time."""

        name = "small"

        def odds(self, tiles):
            if len(tiles) > 1:
                both.wait(timeout=30)
                raise OutOfMemory("no room")
            return tiles[:, 0]

    halved = []
    runner = Runner(Small(), 2, on_halved=halved.append)
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(runner.odds, (_numbered(0, 2), _numbered(2, 2))))
    np.testing.assert_array_equal(np.concatenate(parts)[:, 0, 0], range(4))
    assert halved == [1]
    assert runner.batch == 1


def test_a_tile_without_room_beside_another_call_waits_for_it() -> None:
    inside, leave = threading.Event(), threading.Event()

    class Shared:
        """Room for one call at a time; the first stays until the second was refused."""

        name = "shared"

        def __init__(self) -> None:
            self.busy = threading.Lock()

        def odds(self, tiles):
            if not self.busy.acquire(blocking=False):
                leave.set()
                raise OutOfMemory("no room")
            inside.set()
            leave.wait(timeout=30)
            self.busy.release()
            return tiles[:, 0]

    runner = Runner(Shared(), 1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(runner.odds, _numbered(0, 1))
        inside.wait(timeout=30)
        second = pool.submit(runner.odds, _numbered(1, 1))
        assert (first.result()[0, 0, 0], second.result()[0, 0, 0]) == (0, 1)


def test_every_tile_of_a_block_is_worked_out_when_the_batch_shrinks_on_the_way() -> None:
    class Shrinking:
        """Room for four tiles at first, for two later."""

        name = "shrinking"

        def __init__(self) -> None:
            self.calls = 0

        def odds(self, tiles):
            self.calls += 1
            if len(tiles) > (4 if self.calls < 2 else 2):
                raise OutOfMemory("no room")
            return tiles[:, 0]

    image = np.arange(16 * 16, dtype=np.float32).reshape(1, 16, 16)
    found = halo_odds(image, Runner(Shrinking(), 4), tile=(4, 4), halo=0)
    np.testing.assert_array_equal(found, image[0])


def test_windows_of_neighbours_sum_to_one() -> None:
    line = np.sin(np.pi * (np.arange(64) + 0.5) / 64) ** 2
    np.testing.assert_allclose(line[:32] + line[32:], 1, atol=1e-12)
    assert hann(64).min() > 0


def test_blending_stays_within_what_the_windows_say(tmp_path, make_model) -> None:
    """On a constant scene every inner window says the same; their blend can be no lower and no higher than that."""
    model = make_model(tmp_path / "m", architecture="pspnet")
    flat = make_scene((192, 192)).map(lambda array: xr.full_like(array, 0.05))
    segmenter = Segmenter.load(model.folder, "cpu", tile=64)
    window = np.stack([flat["vv"].values, flat["vh"].values])[:, :64, :64]
    contract = model.card.inputs
    said = segmenter.calibration.apply(
        odds_of(model.network(), normalise(to_db(window), contract, *fixed_scale(contract)))
    )
    found = segmenter.likelihood(flat).to_numpy()[64:128, 64:128]
    assert found.min() >= said.min() - 1e-6
    assert found.max() <= said.max() + 1e-6
    assert np.ptp(found) < np.ptp(said)


def test_mapping_without_a_gpu_leaves_torch_asleep(small_model) -> None:
    """A second of every run, and a quarter of its memory."""
    program = (
        "import sys\n"
        "from pipeline_lib.nn import gpu\n"
        "gpu.DRIVERS, gpu.AMD_DEVICE = (), gpu.Path('/nowhere')\n"
        "import pipeline_lib.steps.detect, pipeline_lib.steps.publish\n"
        "from pipeline_lib.nn.segmenter import Segmenter\n"
        "Segmenter.load(sys.argv[1], 'openvino', tile=64)\n"
        "print('torch' in sys.modules, gpu.cuda_devices())\n"
    )
    pytest.importorskip("openvino")
    done = subprocess.run(
        [sys.executable, "-c", program, small_model.folder], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "0"]


def test_a_hidden_gpu_is_none_and_a_driver_asks_torch(monkeypatch) -> None:
    monkeypatch.setattr(gpu, "_has_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu.cuda_devices() == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu.cuda_devices() == 0


def test_demanding_a_gpu_without_one_is_an_error(small_model, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="CUDA"):
        open_backend(small_model, "cuda")


def test_unknown_backend_model_and_tile(small_model) -> None:
    with pytest.raises(UnknownNameError, match="tensorrt"):
        Segmenter.load(small_model.folder, "tensorrt")
    with pytest.raises(UnknownNameError, match="no-such-model"):
        Segmenter.load("no-such-model")
    with pytest.raises(InputError, match="at least"):
        Segmenter.load(small_model.folder, "cpu", tile=2)


def test_other_pixel_sizes_are_warned_about(small_model, scene) -> None:
    coarse = scene.assign_coords(x=30.0 * np.arange(171))
    with pytest.warns(PixelSizeWarning, match="30 m"):
        Segmenter.load(small_model.folder, "cpu", tile=64).likelihood(coarse)


def test_ensemble_mean_and_disagreement(small_model, tmp_path, scene, make_model) -> None:
    a = Segmenter.load(small_model.folder, "cpu", tile=64)
    same = ensemble_likelihood([a, a], scene).compute()
    np.testing.assert_allclose(same["disagreement"].fillna(0), 0, atol=1e-5)
    b = Segmenter.load(make_model(tmp_path / "m", width=8).folder, "cpu", tile=64)
    two = ensemble_likelihood([a, b], scene).compute()
    mean = (a.likelihood(scene).to_numpy() + b.likelihood(scene).to_numpy()) / 2
    np.testing.assert_allclose(two["likelihood"], mean, atol=1e-6)
    assert float(two["disagreement"].max()) > 0
    assert float(two["disagreement"].max()) <= np.log(2)


def test_draws_of_dropout_differ_repeat_and_do_not_see_the_tiles(make_model, tmp_path, scene) -> None:
    folder = make_model(tmp_path / "m", architecture="fcn8s", encoder="resnet18").folder  # dropout before the scores
    whole, first, second = (Segmenter.load(folder, "auto", tile=64, draw=draw) for draw in (None, 0, 1))
    assert first.backend.startswith("torch")
    found = first.likelihood(scene).to_numpy()
    again = Segmenter.load(folder, "cpu", tile=32, draw=0).likelihood(scene).to_numpy()
    np.testing.assert_allclose(found, again, atol=1e-5)
    for other in (whole, second):
        assert np.nanmax(np.abs(found - other.likelihood(scene).to_numpy())) > 1e-3


def test_draws_need_dropout_and_torch(small_model, make_model, tmp_path) -> None:
    with pytest.raises(ModelError, match="without any"):
        Segmenter.load(small_model.folder, "cpu", draw=0)
    with pytest.raises(ModelError, match="only torch"):
        Segmenter.load(make_model(tmp_path / "m", dropout=0.5).folder, "openvino", draw=0)


def test_another_process_opens_the_same_segmenter(make_model, tmp_path) -> None:
    folder = make_model(tmp_path / "m", dropout=0.5).folder
    sent = pickle.loads(pickle.dumps(Segmenter.load(folder, "cpu", tile=64, threads=1, views=4, draw=3)))  # noqa: S301
    assert (sent.views, sent.tile, sent.opening[-1]) == (4, 64, 3)


def test_tiles_are_of_one_size_that_leaves_next_to_nothing_over(small_model) -> None:
    segmenter = Segmenter.load(small_model.folder, "cpu", tile=64)
    halo, stride = small_model.card.halo_px, small_model.card.stride_px
    for shape in ((1, 1), (64, 65), (150, 171), (257, 1000)):
        for size, side in zip(shape, segmenter._tile_for(shape), strict=True):
            assert side % stride == 0
            assert halo <= side <= max(64, halo + stride)
            assert -(-size // side) * side - size < max(halo, stride) + stride * -(-size // side)


def test_a_model_is_opened_once_until_its_card_changes(make_model, tmp_path) -> None:
    folder = make_model(tmp_path / "m").folder
    detector = LearnedDetector(LearnedOptions(model=str(folder), backend="cpu", without_history=None))
    first = detector.segmenter()
    assert LearnedDetector(detector.options).segmenter() is first
    assert LearnedDetector(detector.options.model_copy(update={"views": 2})).segmenter() is not first
    card = folder / CARD
    os.utime(card, ns=(0, card.stat().st_mtime_ns + 1))
    assert detector.segmenter() is not first
    card.unlink()
    with pytest.raises(ModelError, match="missing"):
        detector.segmenter()
