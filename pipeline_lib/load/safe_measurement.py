"""Windows of a GRD measurement, calibrated: noise off, border masked, look-up table applied."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from pipeline_lib.errors import AssetError
from pipeline_lib.load import traffic
from pipeline_lib.load.asset import unreadable
from pipeline_lib.load.safe_files import gdal_path
from pipeline_lib.sar.annotation import GrdAnnotation
from pipeline_lib.sar.border import REACH, WINDOW, border_of
from pipeline_lib.sar.calibration import calibrate_block, table_of

CACHE_MB = 256
"""GDAL's block cache; its default, 5 % of the machine's memory, is not bounded by the scene."""

Rectangle = tuple[int, int, int, int]
"""First line, first pixel, lines, pixels; may leave the image."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One polarisation of one product: its image file and what the annotation says of it."""

    name: str
    href: str
    sign: Callable[[str], str]
    annotation: GrdAnnotation
    gdal: Mapping[str, str | int] = field(default_factory=dict)

    def check(self) -> None:
        """Make sure that the file is there and has the size that the annotation says.

        Raises:
            AssetError: it is missing, not a raster, of another size, not one band of 16 bits, or cut short.
        """
        with self._opened() as dataset:
            size, said = (dataset.height, dataset.width), (self.annotation.image.lines, self.annotation.image.samples)
            pol = self.annotation.polarisation.upper()
            if size != said or dataset.count != 1 or dataset.dtypes[0] != "uint16":
                raise AssetError(
                    f"{self.name}: the measurement of {pol} is {dataset.count} band(s) of "
                    f"{size[0]} x {size[1]} {dataset.dtypes[0]}; expected one of {said[0]} x {said[1]} uint16."
                )

            missing = _bytes_missing(dataset, Path(gdal_path(self.sign(self.href))))
            if missing > 0:
                raise AssetError(
                    f"{self.name}: the measurement of {pol} is truncated by {missing:,} bytes. "
                    "Download the product again."
                )

    def digital_numbers(self, rectangle: Rectangle) -> NDArray[np.uint16]:
        """Read a window; 0, which is no data, outside the image.

        Dims (line, pixel), amplitude as stored.

        Raises:
            AssetError: the file is damaged there (truncated, bad tile).
        """
        line, pixel, lines, pixels = rectangle
        image = self.annotation.image
        top, bottom = max(line, 0), min(line + lines, image.lines)
        left, right = max(pixel, 0), min(pixel + pixels, image.samples)
        out = np.zeros((lines, pixels), np.uint16)
        if top < bottom and left < right:
            with self._opened() as dataset:
                try:
                    part = dataset.read(1, window=Window(left, top, right - left, bottom - top))
                    traffic.count(part.nbytes)
                except (RasterioError, OSError) as error:
                    raise unreadable(self.href, error)(
                        f"{self.name}: the measurement of {self.annotation.polarisation.upper()} is damaged between "
                        f"lines {top} and {bottom} ({error.__cause__ or error}); download the product again."
                    ) from None
            out[top - line : bottom - line, left - pixel : right - pixel] = part
        return out

    def intensity(
        self, rectangle: Rectangle, backscatter: str, *, border: NDArray[np.bool_] | None
    ) -> NDArray[np.float32]:
        """Calibrated window: ``beta0``, ``sigma0`` or ``gamma0``, linear, NaN = no data or border.

        Dims (line, pixel). ``border`` is what `border` gives of the same rectangle: true samples become NaN.

        Raises:
            AssetError: as `digital_numbers`.
        """
        numbers = self.digital_numbers(rectangle)
        out = calibrate_block(
            numbers,
            table_of(self.annotation.calibration, backscatter),
            self.annotation.noise,
            first_line=rectangle[0],
            first_pixel=rectangle[1],
        )
        if border is not None:
            out[border] = np.nan
        return out

    def border(self, rectangle: Rectangle) -> NDArray[np.bool_] | None:
        """Border samples of a window; None where the window is further than `REACH` from every edge.

        Dims (line, pixel), true where a sample is border noise.

        Raises:
            AssetError: as `digital_numbers`.
        """
        line, pixel, lines, pixels = rectangle
        image = self.annotation.image
        edges = (
            line < REACH, line + lines > image.lines - REACH, pixel < REACH, pixel + pixels > image.samples - REACH
        )  # fmt: skip
        if not any(edges):
            return None
        # The decision about a sample needs the way to its edge and half a running window beyond.
        top = 0 if edges[0] else max(line - WINDOW, 0)
        bottom = image.lines if edges[1] else min(line + lines + WINDOW, image.lines)
        left = 0 if edges[2] else max(pixel - WINDOW, 0)
        right = image.samples if edges[3] else min(pixel + pixels + WINDOW, image.samples)
        out = np.ones((lines, pixels), np.bool_)
        if top < bottom and left < right:
            wide = border_of(self.digital_numbers((top, left, bottom - top, right - left)), edges=edges)
            rows = slice(max(line, top), min(line + lines, bottom))
            columns = slice(max(pixel, left), min(pixel + pixels, right))
            out[rows.start - line : rows.stop - line, columns.start - pixel : columns.stop - pixel] = wide[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
        return out

    @contextmanager
    def _opened(self) -> Iterator[rasterio.DatasetReader]:
        """Open the image under the catalogue's access settings, with a bounded block cache."""
        settings = {"GDAL_CACHEMAX": CACHE_MB, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", **self.gdal}
        with rasterio.Env(**settings), warnings.catch_warnings():
            # A GRD image has no map transform; that is why this module exists.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            try:
                dataset = rasterio.open(gdal_path(self.sign(self.href)))
            except (RasterioError, OSError) as error:
                raise unreadable(self.href, error)(
                    f"{self.name}: the measurement of {self.annotation.polarisation.upper()} cannot be opened "
                    f"({type(error).__name__}); it is missing, truncated or not a TIFF. Download the product again."
                ) from None
            with dataset:
                yield dataset


def _bytes_missing(dataset: rasterio.DatasetReader, path: Path) -> int:
    """How far beyond the end of a local file its blocks reach; not every decoder notices before it is asked."""
    if not path.is_file():
        return 0
    height, width = dataset.block_shapes[0]
    last = 0
    for row in range(-(-dataset.height // height)):
        for column in range(-(-dataset.width // width)):
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=1)
            size = dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=1)
            last = max(last, int(offset or 0) + int(size or 0))
    return last - path.stat().st_size
