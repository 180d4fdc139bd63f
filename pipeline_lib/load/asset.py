"""Assets as rasters: what a file itself says about its place, read once and checked.

Nothing here trusts ``proj:*``, ``raster:*`` or the footprint of an item: public archives publish wrong ones.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from pipeline_lib.catalog.certificates import untrusted
from pipeline_lib.catalog.signing import access_of, refusal
from pipeline_lib.errors import AssetError, UnreachableAssetError, shown
from pipeline_lib.load import traffic
from pipeline_lib.model import CatalogItem

Sign = Callable[[str], str]
"""Turns an unsigned href into one that can be opened now; called at each opening, because tokens expire."""

GDAL_SETTINGS: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_MULTIRANGE": "YES",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_CACHEMAX": 256,
}
"""For reading COGs over HTTP; the block cache is bounded, or GDAL takes 5 % of the memory per process."""

_READERS = 8
"""Headers read at a time: they wait for the network, not for the processor."""

_failed: set[str] = set()
"""Addresses whose last opening in this process failed: GDAL keeps such an answer for good unless told otherwise."""

_ASK_AGAIN = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/http:/vsis3/"}


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One band of a raster of an item."""

    item_id: str
    key: str
    href: str = field(repr=False)
    """May be signed by the catalogue, and a cluster's workers print what they are given when it fails."""
    crs: str
    """Well-known text, from the file."""
    transform: tuple[float, ...]
    """Affine coefficients a, b, c, d, e, f, from the file."""
    shape: tuple[int, int]
    nodata: float | None
    sign: Sign
    invalid: tuple[float, ...] = ()
    """Values that mean no data beside the file's own and NaN."""
    scale: float = 1.0
    offset: float = 0.0
    """Physical value = ``scale`` x number + ``offset``; decided by the caller, never taken from an item."""
    band: int = 1
    """Which band of the file, from 1."""
    unit: str = "power"
    """What numbers of backscatter are: ``power``, ``amplitude`` or ``db``; they are read as power."""
    gdal: Mapping[str, str | int] = field(default_factory=dict)
    """Access settings of the catalogue (requester pays, endpoint ...)."""

    def read(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Read a window as float32, NaN = no data.

        Dims (y, x), in physical units: scale and offset of the asset are applied.

        Raises:
            AssetError: the file can no longer be opened, or is damaged there.
        """
        with opened(self.item_id, self.key, self.sign(self.href), self.gdal) as dataset:
            window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
            values: NDArray[np.float32] = dataset.read(self.band, window=window, out_dtype="float32")
        traffic.count(values.nbytes)
        values = self._as_power(self._masked(values))
        if (self.scale, self.offset) == (1.0, 0.0):
            return values
        return values * np.float32(self.scale) + np.float32(self.offset)

    def sample(self, pixels: int = 512) -> NDArray[np.float32]:
        """The whole raster decimated to about ``pixels`` along its longer side, numbers as stored, NaN = no data.

        Dims (y, x).

        Raises:
            AssetError: as `read`.
        """
        step = max(1, -(-max(self.shape) // pixels))
        with opened(self.item_id, self.key, self.sign(self.href), self.gdal) as dataset:
            shape = (-(-self.shape[0] // step), -(-self.shape[1] // step))
            values: NDArray[np.float32] = dataset.read(self.band, out_shape=shape, out_dtype="float32")
        return self._masked(values)

    def _as_power(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Numbers of backscatter as linear power; before anything is averaged."""
        if self.unit == "db":
            power: NDArray[np.float32] = np.power(np.float32(10), values / np.float32(10), dtype=np.float32)
            return power
        return values * values if self.unit == "amplitude" else values

    def _masked(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        for value in (*self.invalid, *(() if self.nodata is None else (self.nodata,))):
            values[values == np.float32(value)] = np.nan
        return values


_NETWORK = ("http://", "https://", "s3://", "gs://", "/vsicurl/", "/vsis3/", "/vsigs/")
_ANSWERS = (FileNotFoundError, PermissionError, KeyError, ImportError)
"""What says that the next try will end alike, over a network, too."""


def unreadable(href: str, error: Exception) -> type[AssetError]:
    """The error to raise where an asset could not be read.

    Over a network one failure says little of the next try, unless a server said no; a local file is what it is.

    Args:
        href: of the asset; a chain of fsspec's or a path of GDAL's virtual file systems, too.
        error: of fsspec or GDAL.
    """
    passing = any(mark in href for mark in _NETWORK) and not isinstance(error, _ANSWERS)
    return UnreachableAssetError if passing else AssetError


@contextmanager
def opened(item_id: str, key: str, href: str, gdal: Mapping[str, str | int]) -> Iterator[rasterio.DatasetReader]:
    """Open a raster under `GDAL_SETTINGS`; every failure becomes an `AssetError` that names item and asset."""
    address = href.partition("?")[0]
    settings = {**GDAL_SETTINGS, **gdal, **(_ASK_AGAIN if address in _failed else {})}
    try:
        with rasterio.Env(**settings), rasterio.open(href) as dataset:
            _failed.discard(address)
            yield dataset
    except (RasterioError, OSError) as error:
        _failed.add(address)
        kind, reason = unreadable(href, error), refusal(href)
        words = untrusted(error, urlsplit(address).netloc or address)
        if reason is not None:
            kind, said = (UnreachableAssetError if reason.may_pass else AssetError), reason.words
        elif words is not None:
            kind, said = AssetError, words
        else:
            said = f"{shown(error.__cause__ or error).rstrip('.')}. It is missing, truncated or not a raster"
        raise kind(
            f"Asset {key!r} of item {item_id} cannot be read: {said}; try again later or leave the item out."
        ) from None


def assets_of(
    items: tuple[CatalogItem, ...],
    key: str,
    *,
    sign: Sign,
    invalid: tuple[float, ...] = (),
    own_nodata: bool = True,
    may_be_empty: bool = False,
    gdal: Mapping[str, str | int] | None = None,
) -> tuple[Asset, ...]:
    """Open asset ``key`` of every item, check it, and return what its file says, in the order given.

    Args:
        items: that have the asset.
        key: of the asset.
        sign: makes an href of an item readable that names no catalogue.
        invalid: values that mean no data.
        own_nodata: whether the no-data value that the file declares counts too.
        may_be_empty: whether a file without a single valid pixel is fine (a tile of open sea).
        gdal: access settings of items that name no catalogue.

    Raises:
        AssetError: an item lacks the asset, or its file is missing, damaged or without CRS, or holds no data at all
            although it may not be empty.
    """

    def inspect(item: CatalogItem) -> Asset:
        """Open the asset of one item."""
        if key not in item.assets:
            held = ", ".join(sorted(item.assets)) or "none"
            raise AssetError(f"Item {item.item_id} has no asset {key!r}; it has: {held}.")
        own, access = access_of(item, sign, gdal)
        with opened(item.item_id, key, own(item.assets[key]), access) as dataset:
            _check_place(dataset, item.item_id, key)
            asset = Asset(
                item_id=item.item_id,
                key=key,
                href=item.assets[key],
                crs=dataset.crs.to_wkt(),
                transform=tuple(dataset.transform[:6]),
                shape=(dataset.height, dataset.width),
                nodata=dataset.nodata if own_nodata else None,
                sign=own,
                invalid=invalid,
                gdal=access,
                band=int(str(item.facts.get(f"overbank:band:{key}", 1))),
                unit=str(item.facts.get("overbank:unit", "power")),
            )
            if not may_be_empty and not _holds_data(dataset, asset):
                raise AssetError(
                    f"Asset {key!r} of item {item.item_id} holds no data at all: every pixel is no-data. Leave the "
                    "item out."
                )
        return asset

    with ThreadPoolExecutor(min(_READERS, max(1, len(items)))) as readers:
        return tuple(readers.map(inspect, items))


def _check_place(dataset: rasterio.DatasetReader, item_id: str, key: str) -> None:
    if dataset.crs is None:
        placed = "only ground control points" if dataset.gcps[0] else "no georeference"
        raise AssetError(
            f"Asset {key!r} of item {item_id} has no coordinate reference system ({placed}); expected a raster on a "
            "map grid. Ask for the terrain corrected product, or process the GRD."
        )


def _holds_data(dataset: rasterio.DatasetReader, asset: Asset) -> bool:
    """Whether any pixel is valid: the coarsest overview tells, else blocks from the middle outwards until one does."""
    invalid = (*asset.invalid, *(() if asset.nodata is None else (asset.nodata,)))

    def any_valid(values: NDArray[np.float32]) -> bool:
        """Whether a block holds anything but no-data."""
        return bool((~np.isin(values, np.array(invalid, np.float32)) & ~np.isnan(values)).any())

    factors = dataset.overviews(asset.band)
    if factors:
        shape = (max(1, dataset.height // factors[-1]), max(1, dataset.width // factors[-1]))
        if any_valid(dataset.read(asset.band, out_shape=shape, out_dtype="float32")):
            return True
    windows = [window for _, window in dataset.block_windows(1)]
    middle = len(windows) // 2
    for number in sorted(range(len(windows)), key=lambda number: abs(number - middle)):
        if any_valid(dataset.read(asset.band, window=windows[number], out_dtype="float32")):
            return True
    return False
