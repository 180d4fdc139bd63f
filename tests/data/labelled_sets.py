"""Small fake data sets with the folder layout, file names, codes and units of the real ones.

Backscatter is drawn from gamma speckle over a round lake, so that every detector has something to find. Each recipe
returns its root.
"""

from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_origin

LAND_DB = {"vv": -10.0, "vh": -17.0}
WATER_DB = {"vv": -19.0, "vh": -26.0}
LOOKS = 5.0


def lake(size: int, radius: float) -> np.ndarray:
    row, column = np.mgrid[:size, :size]
    return (row - size / 2) ** 2 + (column - size / 2) ** 2 < radius**2


def decibel(water: np.ndarray, polarisation: str, rng: np.random.Generator) -> np.ndarray:
    mean = 10 ** (np.where(water, WATER_DB[polarisation], LAND_DB[polarisation]) / 10)
    return (10 * np.log10(mean * rng.gamma(LOOKS, 1 / LOOKS, water.shape))).astype(np.float32)


def picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def raster(path: Path, bands: np.ndarray, descriptions: tuple[str, ...] = (), **profile: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    place = {"crs": "EPSG:4326", "transform": from_origin(-65.0, -13.0, 1e-4, 1e-4)} | profile
    with rasterio.open(path, "w", "GTiff", width=width, height=height, count=count, dtype=bands.dtype, **place) as out:
        out.write(bands)
        for index, text in enumerate(descriptions, 1):
            out.set_band_description(index, text)


def stretched(decibels: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip(255 * (decibels - low) / (high - low), 0, 254)


def sen1floods11(root: Path, *, size: int = 96, seed: int = 1) -> Path:
    """Five chips of four events: two with a lake, one without water, one without data, one half empty with holes."""
    rng = np.random.default_rng(seed)
    chips = {"USA_905409": 30, "India_900498": 40, "Ghana_53713": 0, "Paraguay_34417": 30, "Bolivia_312675": 25}
    for name, radius in chips.items():
        water = lake(size, radius)
        sar = np.stack([decibel(water, "vv", rng), decibel(water, "vh", rng)])
        label = water.astype(np.int16)
        if name.startswith("Paraguay"):
            sar[:] = np.nan
        if name.startswith("Bolivia"):
            sar[:, : size // 3] = np.nan
            label[: size // 3] = -1
        raster(root / "S1Hand" / f"{name}_S1Hand.tif", sar, ("VV", "VH"), nodata=np.nan)
        raster(root / "LabelHand" / f"{name}_LabelHand.tif", label[None])
    optical = rng.integers(300, 3000, (13, size, size)).astype(np.int16)
    raster(root / "S2Hand" / "USA_905409_S2Hand.tif", optical)
    splits = root / "meta" / "official"
    splits.mkdir(parents=True)
    lines = [f"{name}_S1Hand.tif,{name}_LabelHand.tif" for name in chips if not name.startswith(("Bolivia", "India"))]
    (splits / "flood_test_data.csv").write_text("\n".join(lines))
    (splits / "flood_train_data.csv").write_text("India_900498_S1Hand.tif,India_900498_LabelHand.tif\n")
    return root


def etci2021(root: Path, *, size: int = 64, seed: int = 2) -> Path:
    """One labelled scene of 2 x 2 tiles with blank fill, and a weakly labelled dry scene of one of its tiles, shifted."""
    rng = np.random.default_rng(seed)
    scene, dry = "northal_20190302t234651", "northal_20190630t234655"
    for column in (10, 11):
        for row in (10, 11):
            name, water = f"{scene}_x-{column}_y-{row}", lake(size, 6 * (column - 9))
            fill = np.zeros((size, size), bool)
            fill[:, : size // 2] = (column, row) == (11, 11)
            for band, low, high in (("vv", -30.9, 4.8), ("vh", -36.7, -12.0)):
                pixels = np.where(fill, 255, stretched(decibel(water, band, rng), low, high))
                picture(root / scene / "tiles" / band / f"{name}_{band}.png", pixels)
            picture(root / scene / "tiles" / "flood_label" / f"{name}.png", 255 * water)
            picture(root / scene / "tiles" / "water_body_label" / f"{name}.png", 255 * lake(size, 3))
    tiles = root / dry / "tiles"
    for band, low, high in (("vv", -30.9, 4.8), ("vh", -36.7, -12.0)):
        pixels = np.roll(stretched(decibel(lake(size, 3), band, rng), low, high), (7, -7), axis=(0, 1))
        picture(tiles / band / f"{dry}_x-10_y-10_{band}.png", pixels)
    (tiles / "labels.csv").write_text(f"tile,flood_label,water_body_label\n{dry}_x-10_y-10.png,0,1\n")
    return root


def ombria(root: Path, *, events: int = 3, per_row: int = 3, size: int = 64, seed: int = 3, first: int = 1) -> Path:
    """Chips cut side by side from a few scenes, numbered through, every third one in test, stretched one by one."""
    rng = np.random.default_rng(seed)
    number = first
    for _ in range(events):
        shape = (2 * size, per_row * size)
        water = _lakes(shape, rng)
        texture = _filtered(rng.normal(0, 8, shape))
        after = _filtered(decibel(water, "vv", rng) + texture)
        before = _filtered(decibel(np.zeros(shape, bool), "vv", rng) + texture)
        for row in range(2):
            for column in range(per_row):
                window = np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]
                split = "test" if number % 3 == 0 else "train"
                home = root / "OmbriaS1" / split
                for when, image in (("after", after), ("before", before)):
                    chip = image[window]
                    scaled = 255 * (chip - chip.min()) / np.ptp(chip)
                    picture(home / when.upper() / f"S1_{when}_{number:04d}.png", scaled)
                picture(home / "MASK" / f"S1_mask_{number:04d}.png", 255 * water[window])
                colour = rng.integers(0, 255, (size, size, 3))
                picture(root / "OmbriaS2" / split / "AFTER" / f"S2_after_{number:04d}.png", colour)
                number += 1
    return root


def _lakes(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    row, column = np.mgrid[: shape[0], : shape[1]]
    water = np.zeros(shape, bool)
    for _ in range(4):
        y, x, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(8, 20)
        water |= (row - y) ** 2 + (column - x) ** 2 < radius**2
    return water


def _filtered(image: np.ndarray) -> np.ndarray:
    """Neighbouring real pixels share speckle: the point spread of the sensor and resampling."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, 1.6)


def cems_rcnn(root: Path, *, size: int = 120, seed: int = 4) -> Path:
    """One tile, three quarters black, with label pixels in the black part."""
    rng = np.random.default_rng(seed)
    water, area, tile = lake(size, 40), root / "EMSR763_AOI01", "552_333.png"
    black = np.ones((size, size), bool)
    black[: size // 2, : size // 2] = False
    for folder, when, wet in (("POST_S1", "post", water), ("PRE_S1", "pre", np.zeros_like(water))):
        for band, low, high in (("vv", -25, 0), ("vh", -32, -5)):
            pixels = np.where(black, 0, stretched(decibel(wet, band, rng), low, high) + 1)
            picture(area / folder / f"{band.upper()}_{when}" / tile, pixels)
    picture(area / "Labels" / tile, 255 * water)
    return root


def chips(root: Path, *, size: int = 64, seed: int = 5) -> Path:
    """A generic folder with two splits, linear power in one band order that only the descriptions tell."""
    rng = np.random.default_rng(seed)
    for split, radius in (("train", 20), ("test", 15)):
        water = lake(size, radius)
        sar = np.stack([10 ** (decibel(water, name, rng) / 10) for name in ("vh", "vv")]).astype(np.float32)
        raster(root / split / "images" / f"{split}-1_image.tif", sar, ("VH", "VV"))
        raster(root / split / "labels" / f"{split}-1_label.tif", water.astype(np.uint8)[None])
    return root
