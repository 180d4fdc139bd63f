"""Which files a SAFE product consists of, wherever it lies: a folder, a zip, a URL, or the assets of a STAC item."""

import posixpath
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from pipeline_lib.catalog.items import EOPF_REFUSED
from pipeline_lib.errors import AssetError, RasterError, shown
from pipeline_lib.load.asset import unreadable
from pipeline_lib.load.safe_xml import MAX_XML_BYTES, parse_xml
from pipeline_lib.remote import of_storage

POLARISATIONS = ("vv", "hh", "vh", "hv")
# Names as ESA gives them (also COG_SAFE), and as the open-data mirrors shorten them (iw-vv.xml).
_FILE = re.compile(
    r"(?:^|/)(?P<folder>measurement|annotation(?:/calibration)?)/"
    r"(?P<kind>calibration-|noise-)?(?:s1[a-z]-)?(?:iw|ew|s[1-6])-(?:grd-)?(?P<pol>vv|vh|hh|hv)(?:-[^/]*)?\.(?P<ext>xml|tiff?)$",
    re.IGNORECASE,
)


def unsigned(href: str) -> str:
    """The href itself: for files that need no signature."""
    return href


@dataclass(frozen=True, kw_only=True)
class PolarisationFiles:
    """Hrefs of one polarisation."""

    measurement: str
    annotation: str
    calibration: str
    noise: str | None


@dataclass(frozen=True, kw_only=True)
class SafeFiles:
    """Hrefs of one product and how to reach them."""

    name: str
    polarisations: Mapping[str, PolarisationFiles]
    manifest: str | None = None
    storage: Mapping[str, Any] = field(default_factory=dict)
    """fsspec options of the XML files (requester pays, endpoint)."""
    sign: Callable[[str], str] = unsigned
    """Makes an href readable; called at each opening, because signatures expire."""

    def read(self, href: str) -> bytes:
        """Read a small file in full.

        Raises:
            AssetError: it is not there, cannot be read, or is larger than any annotation.
        """
        try:
            with fsspec.open(self.sign(href), "rb", **self.storage) as stream:
                content: bytes = stream.read(MAX_XML_BYTES + 1)
        except Exception as error:
            if not (of_storage(error) or isinstance(error, (KeyError, ValueError, ImportError, zipfile.BadZipFile))):
                raise
            inner = posixpath.basename(href.split("::", maxsplit=1)[0])
            raise unreadable(href, error)(f"{self.name}: {inner} cannot be read ({shown(error)}).") from None
        return content


def storage_options(access: Mapping[str, str], href: str) -> dict[str, Any]:
    """Turn GDAL's access settings into those of fsspec, for S3 hrefs (the XML files are not read by GDAL)."""
    if not href.startswith("s3://"):
        return {}
    options: dict[str, Any] = {}
    if access.get("AWS_REQUEST_PAYER") == "requester":
        options["requester_pays"] = True
    if endpoint := access.get("AWS_S3_ENDPOINT"):
        scheme = "http" if access.get("AWS_HTTPS", "YES").upper() in {"NO", "FALSE", "OFF"} else "https"
        options["endpoint_url"] = f"{scheme}://{endpoint}"
    if access.get("AWS_VIRTUAL_HOSTING", "YES").upper() in {"NO", "FALSE", "OFF"}:
        options["config_kwargs"] = {"s3": {"addressing_style": "path"}}
    if region := access.get("AWS_REGION"):
        options["client_kwargs"] = {"region_name": region}
    if access.get("AWS_NO_SIGN_REQUEST", "NO").upper() in {"YES", "TRUE", "ON"}:
        options["anon"] = True
    for name, key in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
    ):
        if access.get(name):
            options[key] = access[name]
    return options


def find_safe(href: str, *, access: Mapping[str, str] | None = None) -> SafeFiles:
    """List the files of a SAFE folder, zip or URL; COG_SAFE is the same layout.

    Args:
        href: local path or URL of the ``.SAFE`` folder, of its ``manifest.safe`` or of a ``.zip`` of it.
        access: GDAL configuration of the catalogue's profile (endpoint, requester pays).

    Raises:
        AssetError: nothing there, not a GRD product, an unsafe zip, or a file that the manifest names is missing.
    """
    href = href.rstrip("/").removesuffix("/manifest.safe")
    storage = storage_options(access or {}, href)
    remote = "://" in href and not href.startswith("file://")
    local = Path(href.removeprefix("file://"))
    if href.lower().endswith(".zarr"):
        raise AssetError(f"{shown(href)} is not opened: {EOPF_REFUSED}.")
    if not remote and not local.exists():
        raise AssetError(f"There is no SAFE product at {href}; give a .SAFE folder, a .zip of one, or a URL.")
    if href.lower().endswith(".zip"):
        return _from_zip(href, storage)
    if remote:
        return _from_manifest(href, storage)
    entries = [path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()]
    return _assemble(local.name, entries, lambda entry: str(local / entry), storage)


def find_assets(
    name: str, assets: Mapping[str, str], *, sign: Callable[[str], str], access: Mapping[str, str] | None = None
) -> SafeFiles:
    """Take the files of a product from the assets of a STAC item (Planetary Computer, Earth Search, CDSE).

    Catalogues name the annotation ``schema-product-vv`` and so on. Some items point ``schema-product`` at the RFI
    annotation beside it; the annotation proper lies one folder up, under the same name without ``rfi``.

    Raises:
        AssetError: a polarisation has no annotation or calibration asset.
    """
    found: dict[str, PolarisationFiles] = {}
    for pol in POLARISATIONS:
        if pol not in assets:
            continue
        wanted = {kind: assets.get(f"schema-{kind}-{pol}") for kind in ("product", "calibration", "noise")}
        missing = [f"schema-{kind}-{pol}" for kind in ("product", "calibration") if not wanted[kind]]
        if missing:
            raise AssetError(f"{name} has no asset {', '.join(missing)}: GRD cannot be calibrated without it.")
        product = str(wanted["product"]).replace("/annotation/rfi/rfi-", "/annotation/")
        found[pol] = PolarisationFiles(
            measurement=assets[pol],
            annotation=product,
            calibration=str(wanted["calibration"]),
            noise=wanted["noise"],
        )
    if not found:
        raise AssetError(
            f"{name} has none of the assets {', '.join(POLARISATIONS)}; it holds {', '.join(sorted(assets))}."
        )
    first = next(iter(found.values())).annotation
    return SafeFiles(
        name=name,
        polarisations=found,
        manifest=assets.get("safe-manifest"),
        storage=storage_options(access or {}, first),
        sign=sign,
    )


def _from_zip(href: str, storage: dict[str, Any]) -> SafeFiles:
    """List a zip's members; refuse names that leave it."""
    try:
        with fsspec.open(href, "rb", **storage) as stream, zipfile.ZipFile(stream) as archive:
            entries = [info.filename for info in archive.infolist() if not info.is_dir()]
    except Exception as error:
        if not (of_storage(error) or isinstance(error, (zipfile.BadZipFile, ValueError))):
            raise
        raise unreadable(href, error)(
            f"{shown(href)} is not a readable zip ({shown(error)}); download the product again."
        ) from None
    for entry in entries:
        if entry.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", entry) or ":" in entry.split("/")[0]:
            raise AssetError(f"{href} holds the path {entry!r}, which leaves the archive; it is not opened.")
    remote = "://" in href and not href.startswith("file://")
    outer = href if remote else str(Path(href.removeprefix("file://")).resolve())

    def place(entry: str) -> str:
        """Href of one member: images through GDAL's zip file system, XML through fsspec's."""
        if entry.lower().endswith((".tif", ".tiff")):
            return f"/vsizip/{{{gdal_path(outer)}}}/{entry}"
        return f"zip://{entry}::{outer}"

    return _assemble(
        posixpath.basename(href), entries, place, {outer.split("://")[0]: storage} if remote and storage else {}
    )


def _from_manifest(href: str, storage: dict[str, Any]) -> SafeFiles:
    """List a remote folder by its manifest, and by the shortened names of the mirrors where those are used."""
    files = SafeFiles(name=posixpath.basename(href), polarisations={}, storage=storage)
    root = parse_xml(files.read(f"{href}/manifest.safe"), f"{files.name}/manifest.safe")
    entries = [str(node.get("href", "")).removeprefix("./") for node in root.iter("fileLocation")]
    filesystem, base = fsspec.core.url_to_fs(href, **storage)
    if entries and not filesystem.exists(f"{base}/{next(e for e in entries if e.startswith('annotation/'))}"):
        entries = [_shortened(entry) for entry in entries]
    return _assemble(files.name, ["manifest.safe", *entries], lambda entry: f"{href}/{entry}", storage)


def _shortened(entry: str) -> str:
    """``annotation/s1a-iw-grd-vv-...-001.xml`` as the mirrors name it: ``annotation/iw-vv.xml``."""
    pattern = r"(?:s1[a-z]-)((?:iw|ew|s[1-6]))-grd-(vv|vh|hh|hv)-[^/.]*"
    return re.sub(pattern, r"\1-\2", entry)


def _assemble(name: str, entries: Iterable[str], place: Callable[[str], str], storage: dict[str, Any]) -> SafeFiles:
    """Sort entries into polarisations and make sure that each is whole."""
    kinds: dict[str, dict[str, str]] = {}
    manifest = None
    for entry in entries:
        if posixpath.basename(entry) == "manifest.safe":
            manifest = place(entry)
        elif match := _FILE.search(entry):
            measurement = match["folder"].lower() == "measurement"
            kind = "measurement" if measurement else (match["kind"] or "annotation").rstrip("-").lower()
            if measurement == (match["ext"].lower() != "xml"):
                kinds.setdefault(match["pol"].lower(), {})[kind] = place(entry)
    if not kinds:
        raise AssetError(f"{name} holds no GRD annotation or measurement; is it a Sentinel-1 GRD product?")
    found = {}
    for pol in sorted(kinds, key=POLARISATIONS.index):
        missing = [kind for kind in ("measurement", "annotation", "calibration") if kind not in kinds[pol]]
        if missing:
            raise AssetError(
                f"{name} lacks the {' and '.join(missing)} file of {pol.upper()}; download the product again."
            )
        found[pol] = PolarisationFiles(
            measurement=kinds[pol]["measurement"],
            annotation=kinds[pol]["annotation"],
            calibration=kinds[pol]["calibration"],
            noise=kinds[pol].get("noise"),
        )
    return SafeFiles(name=name, polarisations=found, manifest=manifest, storage=storage)


def gdal_path(href: str) -> str:
    """A path as GDAL opens it: ``https://`` and ``s3://`` through its virtual file systems, local paths unchanged."""
    for scheme, prefix in (
        ("http://", "/vsicurl/http://"),
        ("https://", "/vsicurl/https://"),
        ("s3://", "/vsis3/"),
        ("gs://", "/vsigs/"),
    ):
        if href.startswith(scheme):
            return prefix + href.removeprefix(scheme)
    return href.removeprefix("file://")


def choose_polarisations(files: SafeFiles, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """The polarisations to read: those asked for, else all.

    Raises:
        RasterError: one that was asked for is not in the product.
    """
    held = tuple(files.polarisations)
    chosen = held if wanted is None else tuple(name.lower() for name in wanted)
    absent = [name for name in chosen if name not in held]
    if absent or not chosen:
        raise RasterError(
            f"{files.name} holds {', '.join(held).upper()}; "
            f"asked for was {', '.join(absent).upper() or 'no polarisation'}."
        )
    return chosen
