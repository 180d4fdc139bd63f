"""One Sentinel-2 overpass over the world: surface reflectance, clouds with their shadows, scene classification."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.calendar import OpticalPass
from pipeline_lib.world.inundation import Inundation, Truth
from pipeline_lib.world.land_cover import Cover, LandCover
from pipeline_lib.world.noise import Field, fractal, smooth
from pipeline_lib.world.relief import PIXEL_M, Mask, Relief

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
SUN_AZIMUTH_DEG, SUN_ZENITH_DEG = 168.0, 61.0
"""At 45 N, 10:21 UTC, in late October."""

LAKE_WATER = (0.030, 0.034, 0.038, 0.022, 0.016, 0.012, 0.012, 0.011, 0.010, 0.009, 0.006, 0.005)
MUDDY_WATER = (0.075, 0.092, 0.118, 0.128, 0.122, 0.074, 0.072, 0.062, 0.052, 0.030, 0.018, 0.012)
CLOUD = (0.62, 0.64, 0.64, 0.66, 0.67, 0.68, 0.69, 0.69, 0.69, 0.52, 0.46, 0.34)
SPECTRA = {
    LandCover.RIVER: (0.050, 0.058, 0.072, 0.060, 0.052, 0.030, 0.029, 0.025, 0.022, 0.016, 0.010, 0.007),
    LandCover.LAKE: LAKE_WATER,
    LandCover.SEASONAL_WATER: (0.060, 0.072, 0.098, 0.104, 0.130, 0.170, 0.185, 0.195, 0.205, 0.190, 0.175, 0.115),
    LandCover.WETLAND: (0.030, 0.038, 0.060, 0.052, 0.095, 0.190, 0.220, 0.235, 0.245, 0.230, 0.140, 0.075),
    LandCover.CROPS: (0.028, 0.036, 0.066, 0.050, 0.105, 0.265, 0.325, 0.345, 0.365, 0.340, 0.190, 0.100),
    LandCover.GRASS: (0.034, 0.045, 0.076, 0.068, 0.120, 0.230, 0.268, 0.285, 0.300, 0.285, 0.230, 0.140),
    LandCover.BARE: (0.070, 0.085, 0.112, 0.142, 0.165, 0.182, 0.195, 0.208, 0.222, 0.230, 0.290, 0.250),
    LandCover.DARK_FIELD: (0.055, 0.066, 0.086, 0.106, 0.122, 0.136, 0.146, 0.156, 0.168, 0.172, 0.205, 0.178),
    LandCover.FOREST: (0.018, 0.022, 0.038, 0.028, 0.062, 0.165, 0.202, 0.215, 0.228, 0.220, 0.105, 0.050),
    LandCover.TOWN: (0.100, 0.118, 0.136, 0.148, 0.160, 0.176, 0.186, 0.196, 0.202, 0.205, 0.218, 0.192),
    LandCover.TARMAC: (0.078, 0.086, 0.094, 0.100, 0.104, 0.108, 0.112, 0.116, 0.118, 0.120, 0.128, 0.122),
    LandCover.SAND: (0.150, 0.185, 0.235, 0.275, 0.300, 0.318, 0.330, 0.342, 0.355, 0.350, 0.415, 0.370),
}
"""Typical bottom-of-atmosphere reflectance in `BANDS`.

References:
    Kokaly et al. 2017, USGS Spectral Library 7; Main-Knorn et al. 2017, Sen2Cor, Proc. SPIE 10427 (scene classes).
"""


GSD_PX = {band: {"B01": 6, "B09": 6}.get(band, 1 if band in {"B02", "B03", "B04", "B08"} else 2) for band in BANDS}
"""Pixels of 10 m along each side of a band's own pixel."""


@dataclass(frozen=True)
class OpticalScene:
    """What an overpass measured and what was there; arrays (y, x), 10 m unless said otherwise."""

    optical_pass: OpticalPass
    bands: dict[str, Field]
    """Surface reflectance of each band on its own pixels of 10, 20 or 60 m, 1."""
    scene_class: NDArray[np.uint8]
    """Sen2Cor codes as a processor finds them, 20 m: thin cloud and some shadow are missed."""
    cloud: Mask
    """Truth: pixels that cloud hides or dims."""
    cloud_shadow: Mask
    """Truth: pixels in the shadow of a cloud."""
    inundation: Inundation

    def reflectance(self, names: tuple[str, ...] = BANDS) -> NDArray[np.float32]:
        """Bands on one 10 m grid, each pixel repeated, (band, y, x)."""
        rows, columns = self.cloud.shape
        return np.stack(
            [
                self.bands[name].repeat(GSD_PX[name], axis=0).repeat(GSD_PX[name], axis=1)[:rows, :columns]
                for name in names
            ]
        )


def look_down(
    options: WorldOptions,
    relief: Relief,
    cover: Cover,
    optical_pass: OpticalPass,
    flood: Inundation,
    rng: np.random.Generator,
) -> OpticalScene:
    """Simulate an overpass: ground by class and parcel, flood, sun on slopes, cloud shadow, cloud."""
    shape = cover.classes.shape
    opacity = _clouds(shape, optical_pass.cloud_cover, rng)
    shade = _shadow_of(opacity, options)
    light = _sunlight(relief.elevation_m) * (1 - np.float32(0.72) * shade)
    billows = 1 + np.float32(0.06) * smooth(shape, rng, sigma_px=4)
    surface = _surface(options, cover, flood, rng)
    bands = {}
    for number, name in enumerate(BANDS):
        ground = surface.reflectance(number) * light
        ground += (np.float32(CLOUD[number]) * billows - ground) * opacity
        bands[name] = block_mean(ground, GSD_PX[name]) if GSD_PX[name] > 1 else gaussian_filter(ground, 0.5, truncate=3)
    return OpticalScene(
        optical_pass=optical_pass,
        bands=bands,
        scene_class=_scene_class(bands, block_mean(opacity, 2), block_mean(shade, 2)),
        cloud=opacity > 0.04,
        cloud_shadow=(shade > 0.12) & (opacity <= 0.04),
        inundation=flood,
    )


def block_mean(pixels: Field, factor: int) -> Field:
    """Mean over blocks of ``factor`` pixels; the last rows and columns repeat where the size does not divide."""
    rows, columns = (-side % factor for side in pixels.shape)
    padded = np.pad(pixels, ((0, rows), (0, columns)), mode="edge") if rows or columns else pixels
    total = sum(padded[row::factor, column::factor] for row in range(factor) for column in range(factor))
    return np.asarray(total / np.float32(factor**2), dtype=np.float32)


@dataclass(frozen=True)
class _Surface:
    """The ground on a date, from which any band follows."""

    classes: NDArray[np.uint8]
    brightness: Field
    water_share: Field
    """Share of the view that is water."""
    silt: Field
    """Where that water lies between clear (0) and muddy (1)."""

    def reflectance(self, band: int) -> Field:
        """Reflectance of one band under full light."""
        spectrum = np.zeros(max(LandCover) + 1, np.float32)
        for code, values in SPECTRA.items():
            spectrum[code] = values[band]
        land = spectrum[self.classes] * self.brightness
        clear, muddy = np.float32(LAKE_WATER[band]), np.float32(MUDDY_WATER[band])
        water = clear + (muddy - clear) * self.silt
        return np.asarray(land + (water - land) * self.water_share, dtype=np.float32)


def _surface(options: WorldOptions, cover: Cover, flood: Inundation, rng: np.random.Generator) -> _Surface:
    """Land by class and parcel, and its water: muddy where it is flood, clear where it is a lake."""
    shape = cover.classes.shape
    parcel = 1 + 0.16 * rng.standard_normal(cover.parcels, dtype=np.float32)
    brightness = np.clip(parcel, 0.4, 1.8)[cover.parcel] * (1 + np.float32(0.07) * smooth(shape, rng, sigma_px=1.2))
    muddy = np.clip(0.75 + 0.25 * smooth(shape, rng, sigma_px=25), 0.1, 1.2) * np.float32(options.optical.turbidity)
    quiet = flood.depth_m <= 0
    usual = np.isin(cover.classes, (LandCover.RIVER, LandCover.LAKE)) & quiet
    still = (flood.truth == Truth.REFERENCE_WATER) & (cover.classes == LandCover.SEASONAL_WATER) & quiet
    return _Surface(
        classes=cover.classes,
        brightness=brightness,
        water_share=np.where(usual, np.float32(0), _water_share(cover, flood)),
        silt=np.where(still, np.float32(0), muddy),
    )


def _water_share(cover: Cover, flood: Inundation) -> Field:
    """Share of a pixel's sky view that is flood water: all of it in the open, little under trees."""
    share = np.zeros(cover.classes.shape, np.float32)
    share[(flood.truth == Truth.OPEN_FLOOD) | (flood.truth == Truth.REFERENCE_WATER)] = 1.0
    standing = np.clip(flood.depth_m / np.maximum(cover.height_m, 0.05), 0, 1)
    plants, town = flood.truth == Truth.FLOODED_VEGETATION, flood.truth == Truth.FLOODED_TOWN
    share[plants] = (0.3 + 0.6 * standing)[plants]
    share[plants & (cover.classes == LandCover.FOREST)] = 0.25
    share[town] = 0.45
    return share


def _sunlight(elevation_m: Field) -> Field:
    """Direct and diffuse light on slopes relative to flat ground.

    References:
        Teillet et al. 1982, Can. J. Remote Sens. 8(2) (cosine law), with a fifth of the light diffuse.
    """
    down, right = np.gradient(elevation_m, PIXEL_M)
    azimuth, zenith = np.radians(SUN_AZIMUTH_DEG), np.radians(SUN_ZENITH_DEG)
    towards = -(right * np.sin(azimuth) - down * np.cos(azimuth))
    cosine = (np.cos(zenith) + towards * np.sin(zenith)) / np.sqrt(1 + right**2 + down**2)
    return np.asarray(0.2 + 0.8 * np.clip(cosine / np.cos(zenith), 0.05, 2.2), dtype=np.float32)


def _clouds(shape: tuple[int, int], cover: float, rng: np.random.Generator) -> Field:
    """Opacity of cloud, 0 to 1; ``cover`` of the scene has any."""
    field = fractal(shape, rng, beta=3.1, largest_px=shape[0] / 1.5)
    if cover <= 0:
        return np.zeros(shape, np.float32)
    edge = float(np.quantile(field, 1 - cover))
    return np.asarray(1 - np.exp(-3.0 * np.clip(field - edge, 0, None)), dtype=np.float32)


def _shadow_of(opacity: Field, options: WorldOptions) -> Field:
    """Shadow of cloud on the ground: the opacity moved away from the sun by the cloud's height."""
    height_m = min(900.0, 0.05 * options.size * PIXEL_M)
    reach = height_m * np.tan(np.radians(SUN_ZENITH_DEG)) / PIXEL_M
    azimuth = np.radians(SUN_AZIMUTH_DEG + 180)
    moved = (round(-reach * np.cos(azimuth)), round(reach * np.sin(azimuth)))
    return np.asarray(np.roll(opacity, moved, axis=(0, 1)))


def _scene_class(bands: dict[str, Field], opacity: Field, shade: Field) -> NDArray[np.uint8]:
    """Sen2Cor's classes at 20 m: 2 dark, 3 shadow, 4 plants, 5 bare, 6 water, 8/9 cloud, 10 cirrus."""
    green, red, nir = (block_mean(bands[name], 2) for name in ("B03", "B04", "B08"))
    swir = bands["B11"]
    ndvi, ndwi = (nir - red) / (nir + red + 1e-6), (green - nir) / (green + nir + 1e-6)
    scene = np.full(opacity.shape, 5, np.uint8)
    scene[ndvi > 0.42] = 4
    scene[(ndvi <= 0.42) & (nir < 0.09) & (swir < 0.09)] = 2
    scene[(ndwi > 0.05) & (swir < 0.09)] = 6
    scene[(shade > 0.25) & (opacity < 0.2)] = 3
    scene[(opacity >= 0.2)] = 10
    scene[(opacity >= 0.35)] = 8
    scene[(opacity >= 0.6)] = 9
    return scene
