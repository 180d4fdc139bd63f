"""From gamma0 on the map to what a radar image of it holds: every piece of ground adds its echo to its cell.

Written apart from the reader's chain, so that the one can prove the other: positions are solved exactly for every map
pixel, areas are triangles in Earth-fixed space, and pieces of ground are boxes laid over the cells.

References:
    Small (2011), Flattening Gamma, doi:10.1109/TGRS.2011.2120616, eq. 8-10 (the image simulation it inverts).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.ndimage import binary_erosion, binary_fill_holes

from pipeline_lib.sar.compiled import compiled
from pipeline_lib.sar.range_doppler import RadarGeometry, ecef, slant_range, to_ground, to_radar

Field = NDArray[np.float32]
Floats = NDArray[np.float64]
PIECES = 4
"""A map pixel is cut into this many pieces along each side."""


@dataclass(frozen=True)
class Ground:
    """Map pixels as points in space, arrays (y, x) or (y, x, 3)."""

    points_m: Floats
    geobox: GeoBox

    @classmethod
    def of(cls, geobox: GeoBox, height_m: Field) -> "Ground":
        """Place pixel centres at ellipsoidal heights."""
        rows, columns = height_m.shape
        column, row = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
        x, y = geobox.affine * (column, row)
        longitude, latitude = Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True).transform(x, y)
        return cls(ecef(np.asarray(longitude), np.asarray(latitude), height_m.astype(np.float64)), geobox)


def radar_brightness(
    geometry: RadarGeometry, ground: Ground, gamma0: Mapping[str, Field], seen: NDArray[np.bool_]
) -> dict[str, Field]:
    """Simulate beta0 images.

    Args:
        geometry: of the image.
        ground: the map's pixels in space.
        gamma0: (y, x) linear by polarisation.
        seen: (y, x) False where the image has no data.

    Returns:
        (line, pixel) float32 linear beta0 by polarisation; NaN where ground that was not simulated may fall.
    """
    line, pixel, _, look = to_radar(geometry, ground.points_m)
    area = _gamma_areas(ground.points_m, look)
    shape = (geometry.lines, geometry.samples)
    covered, out = np.zeros(shape), {}
    power = np.zeros((len(gamma0), *shape))
    values = np.stack([np.asarray(gamma0[name], dtype=np.float64) for name in gamma0])
    known = seen & np.isfinite(values).all(axis=0)
    _lay(np.nan_to_num(values), area, line, pixel, known, PIECES, power, covered)
    # Holes inside are radar shadow: observed, with no echo but noise.
    whole = binary_erosion(binary_fill_holes(covered > 0.9), iterations=2)
    slant_area = _slant_areas(geometry)
    for number, name in enumerate(gamma0):
        out[name] = np.where(whole, power[number] / slant_area, np.nan).astype(np.float32)
    return out


def _gamma_areas(points: Floats, look: Floats) -> Floats:
    """Area (m2) of each quadrilateral between four pixels, seen along the line of sight; not below 0."""
    diagonal, other = points[1:, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, 1:]
    normal = 0.5 * np.cross(other, diagonal)
    sight = 0.25 * (look[1:, 1:] + look[:-1, :-1] + look[1:, :-1] + look[:-1, 1:])
    outward = np.sign(np.einsum("...k,...k->...", normal, points[:-1, :-1]))
    return np.asarray(np.maximum(np.einsum("...k,...k->...", normal, sight) * outward, 0.0))


def _slant_areas(geometry: RadarGeometry) -> Floats:
    """Area (m2) of every image cell in the slant-range plane, from a coarse grid of cells."""
    lines = np.linspace(0, geometry.lines - 1, 9)
    pixels = np.linspace(0, geometry.samples - 1, 33)
    line, pixel = np.meshgrid(lines, pixels, indexing="ij")
    deep = slant_range(geometry, line, pixel + 0.5) - slant_range(geometry, line, pixel - 0.5)
    level = np.zeros(line.shape)
    along = to_ground(geometry, line + 0.5, pixel, level) - to_ground(geometry, line - 0.5, pixel, level)
    across = to_ground(geometry, line, pixel + 0.5, level) - to_ground(geometry, line, pixel - 0.5, level)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    along -= across * np.einsum("...k,...k->...", along, across)[..., None]
    coarse = deep * np.linalg.norm(along, axis=-1)
    wide = np.stack([np.interp(np.arange(geometry.samples), pixels, row) for row in coarse])
    share = np.arange(geometry.lines) / max(geometry.lines - 1, 1) * (len(lines) - 1)
    first = np.minimum(share.astype(int), len(lines) - 2)
    weight = (share - first)[:, None]
    return np.asarray(wide[first] * (1 - weight) + wide[first + 1] * weight)


@compiled
def _between(values, band, i, j, s, t):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Cubic (Keys) between pixel centres, kept between the four around; pixels are samples of smooth ground."""
    low = min(values[band, i, j], values[band, i, j + 1], values[band, i + 1, j], values[band, i + 1, j + 1])
    high = max(values[band, i, j], values[band, i, j + 1], values[band, i + 1, j], values[band, i + 1, j + 1])
    total = 0.0
    for a in range(-1, 3):
        y = min(max(i + a, 0), values.shape[1] - 1)
        for b in range(-1, 3):
            x = min(max(j + b, 0), values.shape[2] - 1)
            total += _weight(a - s) * _weight(b - t) * values[band, y, x]
    return min(max(total, low), high)


@compiled
def _weight(d):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Keys's kernel, a = -0.5."""
    d = abs(d)
    if d <= 1.0:
        return (1.5 * d - 2.5) * d * d + 1.0
    return ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0 if d < 2.0 else 0.0


@compiled
def _lay(values, area, line, pixel, known, pieces, power, covered):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, C901
    """Lay the pieces of every quadrilateral over the cells; each piece takes the gamma0 at its own place."""
    bands, lines, samples = power.shape
    taken = np.empty(bands)
    for i in range(area.shape[0]):
        for j in range(area.shape[1]):
            l00, l01, l10, l11 = line[i, j], line[i, j + 1], line[i + 1, j], line[i + 1, j + 1]
            p00, p01, p10, p11 = pixel[i, j], pixel[i, j + 1], pixel[i + 1, j], pixel[i + 1, j + 1]
            cells = 0.5 * abs((l11 - l00) * (p01 - p10) - (l01 - l10) * (p11 - p00))
            tall = max(abs(l10 - l00), abs(l11 - l01), abs(l01 - l00), abs(l11 - l10), 0.3) / pieces
            wide = max(abs(p10 - p00), abs(p11 - p01), abs(p01 - p00), abs(p11 - p10), 0.3) / pieces
            for a in range(pieces):
                s = (a + 0.5) / pieces
                for b in range(pieces):
                    t = (b + 0.5) / pieces
                    if not (known[i, j] and known[i, j + 1] and known[i + 1, j] and known[i + 1, j + 1]):
                        continue
                    for band in range(bands):
                        taken[band] = _between(values, band, i, j, s, t)
                    u = (l00 * (1 - t) + l01 * t) * (1 - s) + (l10 * (1 - t) + l11 * t) * s
                    v = (p00 * (1 - t) + p01 * t) * (1 - s) + (p10 * (1 - t) + p11 * t) * s
                    for k in range(int(np.floor(u - tall / 2 + 0.5)), int(np.floor(u + tall / 2 + 0.5)) + 1):
                        part = (min(u + tall / 2, k + 0.5) - max(u - tall / 2, k - 0.5)) / tall
                        if k < 0 or k >= lines or part <= 0:
                            continue
                        for m in range(int(np.floor(v - wide / 2 + 0.5)), int(np.floor(v + wide / 2 + 0.5)) + 1):
                            if m < 0 or m >= samples:
                                continue
                            share = part * (min(v + wide / 2, m + 0.5) - max(v - wide / 2, m - 0.5)) / wide
                            if share <= 0:
                                continue
                            share /= pieces * pieces
                            covered[k, m] += share * cells
                            for band in range(bands):
                                power[band, k, m] += share * area[i, j] * taken[band]
