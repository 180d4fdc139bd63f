"""Rasters of backscatter as people have them: each is written, mapped by `overbank detect`, and what is right is told.

The scene is land (VV -9.5, VH -16 dB) with a river (-20, -26 dB) under speckle of five looks, 192 x 192 pixels of 10 m.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from pipeline_lib.errors import OverbankError
from pipeline_lib.steps.detect import detect_raster

SIDE = 192
LOOKS = 5
PLACE = from_origin(500_000, 5_000_000, 10, 10)
LEAST_IOU = 0.85
"""Of the water found with the river, where it was observed."""


@dataclass(frozen=True)
class RasterFile:
    """A case: a name for the table, how the file is written, the flags given, and what is right."""

    name: str
    write: Callable[[Path], Path]
    right: float | str = 1.0
    """Share of the pixels that must be observed, with the river found; or a part of the sentence that refuses it."""
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `detect_raster`, as the command's flags give them."""


def outcome(case: RasterFile, folder: Path) -> tuple[str, bool]:
    """What happens to the file, in words, and whether that is right."""
    path = case.write(folder)
    try:
        found = detect_raster(path, folder / "out", name="otsu", **case.flags)
    except OverbankError as error:
        said = str(error).replace(f"{folder}/", "")
        return f"refused: {said}", isinstance(case.right, str) and case.right in said and not (folder / "out").exists()
    with rasterio.open(found.water) as raster:
        water = raster.read(1)
    share = found.observed_px / water.size
    words = f"mapped: {100 * share:.1f} % observed"
    if isinstance(case.right, str):
        return words, False
    if water.shape != RIVER.shape:
        return words, abs(share - case.right) < 0.01
    known = water != 255
    iou = ((water == 1) & RIVER)[known].sum() / ((water == 1) | RIVER)[known].sum()
    return f"{words}, water found", bool(abs(share - case.right) < 0.002 and iou > LEAST_IOU)


def river(shape: tuple[int, int]) -> np.ndarray:
    """Where water is: a bent band, a fifth of the width."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.abs(x - shape[1] / 2 - shape[1] / 6 * np.sin(y / 25)) < shape[1] / 10


def scene(shape: tuple[int, int] = (SIDE, SIDE), seed: int = 0) -> np.ndarray:
    """Linear power of VV and VH, dims (band, y, x)."""
    draw = np.random.default_rng(seed)
    water = river(shape)
    means = [np.where(water, 10**-2.0, 10**-0.95), np.where(water, 10**-2.6, 10**-1.6)]
    return np.stack([mean * draw.gamma(LOOKS, 1 / LOOKS, shape) for mean in means]).astype("f4")


RIVER = river((SIDE, SIDE))
POWER = scene()
DB = 10 * np.log10(POWER)
STEPS = (DB + 80) * 500


def tif(  # noqa: PLR0913 - what a GeoTIFF has
    bands: Any,
    name: str = "scene.tif",
    words: tuple[str, ...] = ("VV", "VH"),
    *,
    nodata: float | None = None,
    dtype: str = "float32",
    crs: str | None = "EPSG:32632",
    gain: tuple[float, float] | None = None,
    colours: tuple[ColorInterp, ...] = (),
    driver: str = "GTiff",
    transform: Any = PLACE,
    gcps: bool = False,
) -> Callable[[Path], Path]:
    """Writer of a raster."""

    def write(folder: Path) -> Path:
        stack = np.asarray(bands)
        facts = {"crs": crs, "transform": transform} if crs and not gcps else {}
        facts |= {"count": len(stack), "height": stack.shape[1], "width": stack.shape[2], "dtype": dtype}
        with rasterio.open(folder / name, "w", driver=driver, nodata=nodata, **facts) as target:
            target.write(stack.astype(dtype))
            if gcps:
                corners = [(0, 0), (0, SIDE), (SIDE, 0), (SIDE, SIDE)]
                target.gcps = [GroundControlPoint(r, c, 9 + c / 1e4, 45 - r / 1e4) for r, c in corners], crs
            if driver == "GTiff":
                for number, word in enumerate(words[: len(stack)], 1):
                    target.set_band_description(number, word)
            if gain:
                target.scales, target.offsets = [gain[0]] * len(stack), [gain[1]] * len(stack)
            if colours:
                target.colorinterp = colours
        return folder / name

    return write


def third(bands: np.ndarray, value: float) -> np.ndarray:
    """The same with one value in a third."""
    changed = bands.copy()
    changed[:, :, : SIDE // 3] = value
    return changed


def dots(bands: np.ndarray, value: float) -> np.ndarray:
    """The same with one value in some 0.5 % of the pixels."""
    changed = bands.copy()
    changed[:, np.random.default_rng(1).random(bands.shape[1:]) < 0.005] = value
    return changed


def cut_short(folder: Path) -> Path:
    path = tif(POWER)(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def text(folder: Path) -> Path:
    (folder / "scene.tif").write_text("not a raster")
    return folder / "scene.tif"


def long(shape: tuple[int, int]) -> np.ndarray:
    """A raster of another shape, half of it water."""
    draw = np.random.default_rng(2)
    water = np.arange(shape[0] * shape[1]).reshape(shape) % 64 < 32
    means = [np.where(water, 0.01, 0.11), np.where(water, 0.0025, 0.025)]
    return np.stack([mean * draw.gamma(LOOKS, 1 / LOOKS, shape) for mean in means]).astype("f4")


def only_corner() -> np.ndarray:
    """A line of 100,000 pixels of which 60 hold data."""
    bands = np.zeros((2, 1, 100_000), "f4")
    bands[:, :, 10_010:10_070] = long((1, 64))[:, :, :60]
    return bands


HYP3 = "S1A_IW_20180128T161201_DVP_RTC30_G_g{}uned_FD6A_VV.tif"
TWO_THIRDS = 2 / 3
NO_DOTS = 1 - (np.random.default_rng(1).random((SIDE, SIDE)) < 0.005).mean()
S2 = ("B2", "B3", "B4", "B8")
REFLECTANCE = np.stack([POWER[0] * 3000] * 4)
GREY = np.clip((DB + 30) * 8, 0, 255)
COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
FLOOR = 10 * np.log10(np.maximum(third(POWER, 0), 1e-5))

RASTER_FILES = (
    RasterFile("power", tif(POWER)),
    RasterFile("decibel", tif(DB)),
    RasterFile("decibel times 100 in int16, scale declared", tif(DB * 100, dtype="int16", gain=(0.01, 0.0))),
    RasterFile("decibel in uint16, scale and offset declared", tif(STEPS, dtype="uint16", gain=(0.002, -80.0))),
    RasterFile("in degrees", tif(DB, crs="EPSG:4326", transform=from_origin(9, 45, 1e-4, 1e-4))),
    RasterFile("power that lost its noise (some negative)", tif(POWER - 0.001)),
    RasterFile("amplitude", tif(np.sqrt(POWER)), "say --scale amplitude"),
    RasterFile("amplitude, `--scale amplitude`", tif(np.sqrt(POWER)), flags={"scale": "amplitude"}),
    RasterFile("amplitude, VV alone", tif(np.sqrt(POWER[:1])), "say --scale amplitude, or --scale linear"),
    RasterFile("decibel of amplitude", tif(DB / 2), "multiply them by 2"),
    RasterFile("decibel of amplitude, VV alone", tif(DB[:1] / 2), "multiply them by 2"),
    RasterFile("digital numbers", tif(np.sqrt(POWER) * 800, dtype="uint16"), "calibrate to sigma0 or gamma0"),
    RasterFile("8-bit greys", tif(GREY, dtype="uint8"), "8-bit greys"),
    RasterFile("decibel times 100 in int16, nothing declared", tif(DB * 100, dtype="int16"), "not decibel of"),
    RasterFile("complex amplitude", tif(np.sqrt(POWER), dtype="complex64"), "complex values (SLC)"),
    RasterFile("power, zeros in a third", tif(third(POWER, 0)), TWO_THIRDS),
    RasterFile("power, zeros in a third, no-data NaN", tif(third(POWER, 0), nodata=np.nan), TWO_THIRDS),
    RasterFile("power, zeros in a third, no-data -9999", tif(third(POWER, 0), nodata=-9999), TWO_THIRDS),
    RasterFile("decibel, zeros in a third", tif(third(DB, 0)), TWO_THIRDS),
    RasterFile("decibel, zeros in a third, no-data NaN", tif(third(DB, 0), nodata=np.nan), TWO_THIRDS),
    RasterFile("decibel, minus infinity in a third", tif(third(DB, -np.inf)), TWO_THIRDS),
    RasterFile("decibel, -9999 declared in a third", tif(third(DB, -9999), nodata=-9999), TWO_THIRDS),
    RasterFile("decibel, -9999 undeclared here and there", tif(dots(DB, -9999)), NO_DOTS),
    RasterFile("power, -9999 undeclared here and there", tif(dots(POWER, -9999)), NO_DOTS),
    RasterFile("power, -3.4e38 undeclared in a third", tif(third(POWER, -3.4028235e38)), TWO_THIRDS),
    RasterFile("decibel, a third clipped to -50", tif(FLOOR), "33.3 % of VV has the one value -50"),
    RasterFile("the same, `--nodata -50`", tif(FLOOR), TWO_THIRDS, {"nodata": -50.0}),
    RasterFile("every pixel NaN", tif(POWER * np.nan), "holds no data"),
    RasterFile("every pixel zero", tif(POWER * 0), "holds no data"),
    RasterFile("every pixel one value", tif(POWER * 0 + 0.1), "has the one value 0.1"),
    RasterFile("VH without any data", tif(np.stack([DB[0], DB[1] * np.nan]))),
    RasterFile("VV and VH swapped", tif(POWER[::-1]), "the bands look swapped"),
    RasterFile("the same, `--polarisations VH,VV`", tif(POWER[::-1]), flags={"polarisations": ("VH", "VV")}),
    RasterFile("VH before VV, nothing said", tif(DB[::-1], words=()), "the bands look swapped"),
    RasterFile("one band, nothing said", tif(DB[:1], words=()), "--polarisations"),
    RasterFile("three bands, nothing said", tif([*DB, DB[0]], words=()), "--polarisations"),
    RasterFile("HyP3 RTC, power by its name", tif(POWER[:1], HYP3.format("p"), ())),
    RasterFile("HyP3 RTC, amplitude by its name", tif(np.sqrt(POWER[:1]), HYP3.format("a"), ())),
    RasterFile("HyP3 RTC, decibel by its name", tif(DB[:1], HYP3.format("d"), ())),
    RasterFile("SNAP, Sigma0_VH_db before Sigma0_VV_db", tif(DB[::-1], words=("Sigma0_VH_db", "Sigma0_VV_db"))),
    RasterFile("SNAP, Beta0_VV", tif(POWER, words=("Beta0_VV", "Beta0_VH")), "radar brightness"),
    RasterFile("Earth Engine: VV, VH, angle", tif([*DB, DB[0] * 0 + 38], words=("VV", "VH", "angle"))),
    RasterFile("Sentinel-2", tif(REFLECTANCE, words=S2, dtype="uint16"), "optical image"),
    RasterFile("picture in colours", tif([*GREY, GREY[0]], dtype="uint8", words=(), colours=COLOURS), "a picture"),
    RasterFile("PNG", tif(GREY[:1], "scene.png", dtype="uint8", crs=None, driver="PNG"), "has no CRS"),
    RasterFile("GRD with ground control points", tif(np.sqrt(POWER) * 800, dtype="uint16", gcps=True, crs="EPSG:4326"),
               "only ground control points"),
    RasterFile("no CRS", tif(POWER, crs=None), "has no CRS"),
    RasterFile("cut short", cut_short, "cannot be read"),
    RasterFile("a text", text, "cannot be read"),
    RasterFile("no file", lambda folder: folder / "scene.tif", "There is no raster"),
    RasterFile("1 x 1 pixel", tif(scene((1, 1)))),
    RasterFile("3 x 3 pixels", tif(scene((3, 3)))),
    RasterFile("1 x 100,000 pixels", tif(long((1, 100_000)))),
    RasterFile("20,000 x 1 pixels", tif(long((20_000, 1)))),
    RasterFile("1 x 100,000 pixels, 60 with data", tif(only_corner()), 0.0006),
)  # fmt: skip
"""Every case, in the order of the table."""
