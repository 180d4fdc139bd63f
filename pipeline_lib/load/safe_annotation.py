"""Parse the annotation of a GRD product once, into one typed record per polarisation."""

import rasterio
from rasterio.errors import RasterioError

from pipeline_lib.errors import AssetError, shown
from pipeline_lib.load.asset import unreadable
from pipeline_lib.load.orbit_file import orbit_from_files
from pipeline_lib.load.safe_files import SafeFiles, gdal_path
from pipeline_lib.load.safe_xml import (
    Reader,
    calibration_of,
    geolocation_of,
    ground_range_of,
    image_geometry,
    noise_of,
    orbit_of,
    utc,
)
from pipeline_lib.sar.annotation import GrdAnnotation


def read_annotation(
    files: SafeFiles, polarisation: str, *, remove_noise: bool = True, orbit_files: tuple[str, ...] = ()
) -> GrdAnnotation:
    """Read annotation, calibration and noise of one polarisation.

    Args:
        files: of the product.
        polarisation: lower case; must be in the product.
        remove_noise: the noise file is needed, unless the processor has removed the noise.
        orbit_files: EOF files or folders of them; the best of this satellite that covers the image replaces the
            annotation's orbit.

    Raises:
        AssetError: a file is missing, damaged, or not what its name says.
    """
    hrefs = files.polarisations[polarisation]
    reader = Reader(files.read(hrefs.annotation), f"{files.name}: annotation of {polarisation.upper()}")
    _check_identity(reader, polarisation)
    mode, ipf = reader.text("adsHeader/mode"), ipf_version(files, hrefs.measurement)
    epoch = utc(reader.text(".//imageInformation/productFirstLineUtcTime"))
    denoised = reader.text(".//processingInformation/thermalNoiseCorrectionPerformed").lower() == "true"
    calibration = calibration_of(
        Reader(files.read(hrefs.calibration), f"{files.name}: calibration of {polarisation.upper()}")
    )
    noise = None
    if remove_noise and not denoised:
        if hrefs.noise is None:
            raise AssetError(
                f"{files.name} has no noise file for {polarisation.upper()}; download the product again, or switch "
                "noise removal off."
            )
        noise = noise_of(
            Reader(files.read(hrefs.noise), f"{files.name}: noise of {polarisation.upper()}"),
            mode=mode, ipf=ipf, digital_number=calibration.digital_number,
        )  # fmt: skip
    platform, image, orbit = reader.text("adsHeader/missionId"), image_geometry(reader), orbit_of(reader, epoch)
    given = orbit_from_files(orbit_files, platform, epoch, (image.lines - 1) * image.line_interval_s)
    return GrdAnnotation(
        platform=platform,
        mode=mode,
        polarisation=polarisation,
        epoch=epoch,
        orbit_direction=reader.text(".//productInformation/pass").lower(),
        absolute_orbit=int(reader.number("adsHeader/absoluteOrbitNumber")),
        relative_orbit=_relative_orbit(files),
        ipf_version=ipf,
        noise_removed=denoised,
        image=image,
        orbit=given or orbit,
        ground_range=ground_range_of(reader, epoch),
        geolocation=geolocation_of(reader, epoch),
        calibration=calibration,
        noise=noise,
    )


def _check_identity(reader: Reader, polarisation: str) -> None:
    """Make sure that the file is a GRD annotation of this polarisation on the WGS 84 ground range."""
    kind, found = reader.text("adsHeader/productType"), reader.text("adsHeader/polarisation").lower()
    if kind != "GRD":
        raise AssetError(f"{reader.name} is of a {kind} product; only ground range detected (GRD) can be mapped.")
    if found != polarisation:
        raise AssetError(f"{reader.name} says it is {found.upper()}; the product's files are mixed up.")


def ipf_version(files: SafeFiles, measurement: str) -> tuple[int, int] | None:
    """Version of the processor, from the manifest, else from the TIFF's software tag; None where neither says it."""
    text = ""
    if files.manifest is not None:
        reader = Reader(files.read(files.manifest), f"{files.name}: manifest")
        software = [
            node for node in reader.root.iter() if node.tag.endswith("}software") and "IPF" in node.get("name", "")
        ]
        text = software[0].get("version", "") if software else ""
    if not text:
        try:
            with rasterio.open(gdal_path(files.sign(measurement))) as dataset:
                text = str(dataset.tags().get("TIFFTAG_SOFTWARE", "")).rpartition(" ")[2]
        except (RasterioError, OSError) as error:
            raise unreadable(measurement, error)(
                f"{files.name}: the measurement cannot be opened ({shown(error)})."
            ) from None
    major, _, minor = text.partition(".")
    return (int(major), int(minor[:2])) if major.isdigit() and minor[:2].isdigit() else None


def _relative_orbit(files: SafeFiles) -> int | None:
    """Relative orbit of the start, as the manifest says it."""
    if files.manifest is None:
        return None
    reader = Reader(files.read(files.manifest), f"{files.name}: manifest")
    found = [node.text for node in reader.root.iter() if node.tag.endswith("}relativeOrbitNumber") and node.text]
    return int(found[0]) if found else None
