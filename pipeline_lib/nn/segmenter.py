"""Inference: a model folder and a scene in, calibrated probability out, lazily and in bounded memory."""

import threading
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.errors import InputError, ModelError
from pipeline_lib.halo import with_halo
from pipeline_lib.model import LEAST_NOISE, refuse_decibels
from pipeline_lib.nn.augment import dihedral, undo_dihedral
from pipeline_lib.nn.backends import open_backend
from pipeline_lib.nn.calibration import Calibration
from pipeline_lib.nn.inputs import filled_units, fixed_scale, normalise, relative_scale, to_db
from pipeline_lib.nn.model_folder import CARD, Model, folder_of, load_model
from pipeline_lib.nn.out_of_range import out_of_range
from pipeline_lib.nn.tiling import Runner, blended, halo_odds

TILE_PX = 1024
WIDE_TILES = 2
"""Tiles along each side of a block where a batch wants several or a blended network's margin is half a tile."""
VIEWS = {1: (0,), 2: (0, 3), 4: (0, 1, 2, 3)}
"""Flips that keep a block's shape, by their number (`pipeline_lib.nn.augment.dihedral`)."""
SAMPLE_STRIDE = 4
"""Relative units look at every 4th pixel of a large scene to find its median and range."""
SMALL_PX = 1024


_OPENING = threading.Lock()


class PixelSizeWarning(UserWarning):
    """The scene's pixels are far from those the model was trained at."""


@dataclass
class Segmenter:
    """A model ready to map scenes.

    The probability of a pixel depends on the scene and the model alone: not on chunks, tiles or the number of
    workers, and on the backend only within float rounding (2e-3 for fp16 and fp32; int8 is another model).
    """

    model: Model
    runner: Runner
    tile: int
    calibration: Calibration
    views: int = 1
    """The probability is the mean over this many flips of the image: 1, 2 or 4; time grows with it."""
    halved: list[int] = field(default_factory=list)
    """Batch sizes after each time the device ran out of memory."""
    opening: tuple[str, str, int, int | None, int, int, int | None] | None = None
    """What `load` was given: an open backend cannot travel to another process, so a worker opens its own."""

    def __reduce__(self) -> Any:
        """Travel as the way it was opened."""
        if self.opening is None:
            raise ModelError("Only a segmenter that was opened by `Segmenter.load` can be sent to another process.")
        return opened_once, self.opening

    @classmethod
    def load(
        cls,
        path: str | Path,
        backend: str = "auto",
        *,
        tile: int = TILE_PX,
        batch: int | None = None,
        threads: int = 0,
        views: int = 1,
        draw: int | None = None,
    ) -> "Segmenter":
        """Open a model folder (or a shipped model by name) with a backend.

        Args:
            path: folder or name.
            backend: ``auto``, ``cuda``, ``cpu`` or one of `pipeline_lib.nn.backends.BACKENDS`.
            tile: side of a tile in pixels; memory grows with its square. Rounded to the network's stride.
            batch: tiles at once; 8 on a GPU, 1 on a CPU.
            threads: threads of a CPU backend; 0 leaves the choice to it.
            views: flips to average over: 1, 2 or 4.
            draw: seed of one draw of Monte Carlo dropout (`pipeline_lib.nn.backends.Thinned`); none: the whole network.

        Raises:
            UnknownNameError: no such model or backend.
            ModelError: the model is damaged, or the machine lacks what the backend needs.
        """
        model = load_model(path)
        step = model.card.stride_px * (2 if model.card.halo_px is None else 1)
        if tile < step:
            raise InputError(f"tile is {tile} pixels; this network needs at least {step}.")
        opened = open_backend(model, backend, threads=threads, draw=draw)
        runner = Runner(opened, batch or (8 if opened.name == "torch-cuda" else 1))
        calibration = Calibration(model.card.scale, model.card.bias)
        segmenter = cls(model, runner, tile // step * step, calibration, views)
        segmenter.opening = (str(path), backend, tile, batch, threads, views, draw)
        runner.on_halved = segmenter.halved.append
        return segmenter

    @property
    def backend(self) -> str:
        """Name of the backend at work."""
        return self.runner.backend.name

    def likelihood(self, scene: xr.Dataset, history: xr.Dataset | None = None) -> xr.DataArray:
        """Calibrated probability of the model's target (`ModelCard.target`), float32 ``(y, x)``, lazy.

        NaN where the scene is not observed, that is, where none of its required bands is. Chunks of the result are
        the segmenter's own.

        Args:
            scene: Scene, linear power. 8-bit images come through any stretch that is linear in dB; only models in
                relative units (``card.inputs.units``) are made for them.
            history: the same polarisations before the event, ``(time, y, x)`` or ``(y, x)``, where the model needs it.

        Raises:
            ContractError: a polarisation or the history is missing.
        """
        contract = self.model.card.inputs
        self._check_pixel_size(scene)
        arrays = [array.astype(np.float32) for array in contract.select(scene, history)]
        shape = arrays[0].shape
        power = da.stack([_lazy(array) for array in arrays])
        centre, spread = self._scale(power)
        tile = self._tile_for((int(shape[0]), int(shape[1])))
        wide = self.model.card.halo_px is None or self.runner.batch > 1
        times = WIDE_TILES if wide and max(shape) > self.tile else 1
        margin = self.tile // 2 if self.model.card.halo_px is None else self.model.card.halo_px
        padded = _pad_to(power, tile).rechunk((len(arrays), times * tile[0], times * tile[1]))
        padded = _whole_chunks(padded, margin)
        around = with_halo(padded, margin, beyond=np.nan)
        result = da.map_blocks(
            self._block,
            around,
            centre,
            spread,
            margin,
            tile,
            dtype=np.float32,
            drop_axis=0,
            chunks=padded.chunks[1:],
            meta=np.empty((0, 0), np.float32),
        )[: shape[0], : shape[1]]
        template = arrays[0]
        coords = {name: value for name, value in template.coords.items() if set(value.dims) <= {"y", "x"}}
        return xr.DataArray(
            result,
            dims=("y", "x"),
            coords=coords,
            name="likelihood",
            attrs={"units": "1", "target": self.model.card.target},
        )

    def out_of_distribution(self, scene: xr.Dataset, history: xr.Dataset | None = None) -> tuple[str, ...]:
        """Sentences about what of this scene lies outside the model's training range; empty where all is well.

        Args:
            scene: Scene with dims (y, x), linear power; a sample of its pixels is computed.
            history: passes before the event, dims (time, y, x), for models that compare with them.
        """
        contract = self.model.card.inputs
        power = da.stack([_lazy(array.astype(np.float32)) for array in contract.select(scene, history)])
        centre, spread = self._scale(power)
        decibel = to_db(np.asarray(_sampled(power).compute(), np.float32))
        return out_of_range(normalise(decibel, contract, np.asarray(centre), np.asarray(spread)), self.model.card)

    def _scale(self, power: da.Array) -> tuple[Any, Any]:
        """Centre and spread: fixed, or of this scene (two numbers a band, computed once)."""
        contract = self.model.card.inputs
        if contract.units == "db":
            return fixed_scale(contract)
        return relative_scale(to_db(np.asarray(_sampled(power).compute(), np.float32)), contract.centre_percentile)

    def _tile_for(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the tiles: as few as `tile` allows, of one size that leaves next to nothing over.

        That is for exact tiles; what blended ones say depends on their size.
        """
        card = self.model.card
        if card.halo_px is None:
            return self.tile, self.tile
        halo, stride = card.halo_px, card.stride_px
        height, width = (-(-max(-(-size // -(-size // self.tile)), halo) // stride) * stride for size in shape)
        return height, width

    def _block(
        self,
        power: NDArray[np.float32],
        centre: NDArray[np.float32],
        spread: NDArray[np.float32],
        margin: int,
        tile: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Probability of one block from its power with margin."""
        contract = self.model.card.inputs
        inner = (slice(margin, power.shape[1] - margin), slice(margin, power.shape[2] - margin))
        required = [
            k for k, band in enumerate(contract.bands) if not band.before and band.polarisation not in contract.optional
        ]
        seen = np.asarray(np.isfinite(power[required]).any(axis=0))[inner]
        if not seen.any():
            return np.full(seen.shape, np.nan, np.float32)
        some = power[required][:, ::SAMPLE_STRIDE, ::SAMPLE_STRIDE]
        refuse_decibels(int((some < LEAST_NOISE).sum()), int(np.isfinite(some).sum()))
        image = filled_units(power, contract, centre, spread)
        first, *others = (self._turned(image, view, margin, tile) for view in VIEWS[self.views])
        probability = np.mean([first, *others], axis=0, dtype=np.float32) if others else first
        return np.where(seen, probability, np.float32(np.nan))

    def _turned(self, image: NDArray[np.float32], view: int, margin: int, tile: tuple[int, int]) -> NDArray[np.float32]:
        """Probability of a block without its margin, seen as one of the symmetries of the square."""
        flipped = np.ascontiguousarray(dihedral(image, view), dtype=np.float32)
        if self.model.card.halo_px is None:
            found = blended(flipped, self.runner, self.calibration.apply, tile=self.tile)
        else:
            found = self.calibration.apply(halo_odds(flipped, self.runner, tile=tile, halo=margin))
        return np.asarray(undo_dihedral(found, view), dtype=np.float32)

    def _check_pixel_size(self, scene: xr.Dataset) -> None:
        contract = self.model.card.inputs
        if "x" not in scene.coords or scene.sizes["x"] < 2:
            return
        step = abs(float(scene["x"][1] - scene["x"][0]))
        # Degrees are not compared: a scene on a geographic grid has steps far below one.
        if step >= 1 and abs(step / contract.pixel_m - 1) > contract.pixel_tolerance:
            warnings.warn(
                f"The scene has {step:g} m pixels; {self.model.card.name} was trained at {contract.pixel_m:g} m.",
                PixelSizeWarning,
                stacklevel=3,
            )


def _lazy(array: xr.DataArray) -> da.Array:
    return array.data if isinstance(array.data, da.Array) else da.from_array(array.data, chunks=-1)


def _sampled(power: da.Array) -> da.Array:
    """Every 4th pixel of a large scene: enough for a median, and the same whatever the chunks."""
    step = SAMPLE_STRIDE if max(power.shape[1:]) > SMALL_PX else 1
    return power[:, ::step, ::step]


def _pad_to(power: da.Array, tile: tuple[int, int]) -> da.Array:
    """Not-observed rows and columns up to whole tiles."""
    rest = [(-size) % side for size, side in zip(power.shape[1:], tile, strict=True)]
    return da.pad(power, ((0, 0), (0, rest[0]), (0, rest[1])), constant_values=np.nan)


def _whole_chunks(power: da.Array, margin: int) -> da.Array:
    """Let the last chunk be at least as large as the margin, as overlap demands."""
    chunks = []
    for axis in (1, 2):
        sizes = list(power.chunks[axis])
        while len(sizes) > 1 and sizes[-1] < margin:
            sizes[-2:] = [sizes[-2] + sizes[-1]]
        chunks.append(tuple(sizes))
    return power.rechunk((power.chunks[0], *chunks))


def opened_once(
    path: str, backend: str, tile: int, batch: int | None, threads: int, views: int, draw: int | None
) -> Segmenter:
    """`Segmenter.load`, once a process while the model's card, which lists every file's digest, is the same file.

    Opening and compiling takes half a second and 100 MiB: as much as mapping a megapixel or two.
    """
    try:
        card = (folder_of(path) / CARD).stat()
    except OSError:
        return Segmenter.load(path, backend, tile=tile, batch=batch, threads=threads, views=views, draw=draw)
    with _OPENING:
        return _opened((card.st_ino, card.st_mtime_ns), path, backend, tile, batch, threads, views, draw)


@lru_cache(maxsize=8)
def _opened(
    _card: tuple[int, int],
    path: str,
    backend: str,
    tile: int,
    batch: int | None,
    threads: int,
    views: int,
    draw: int | None,
) -> Segmenter:
    return Segmenter.load(path, backend, tile=tile, batch=batch, threads=threads, views=views, draw=draw)
