"""The XML of a simulated GRD product, in the structure and units of the real one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.sar.annotation import GroundRange, Orbit
from pipeline_lib.sar.range_doppler import SPEED_OF_LIGHT, RadarGeometry, slant_range, to_ground

Floats = NDArray[np.float64]
BETA_LUT = 473.9733
"""Constant of the beta nought table; as of a real IW GRDH product."""
IPF = "003.71"


@dataclass(frozen=True)
class SafeFacts:
    """What the files of one product say of it."""

    platform: str
    polarisation: str
    direction: str
    first_line: datetime
    absolute_orbit: int
    relative_orbit: int
    datatake: int
    slice_number: int


@dataclass(frozen=True)
class TiePoints:
    """The geolocation grid on the ellipsoid; arrays (n,)."""

    line: Floats
    pixel: Floats
    longitude_deg: Floats
    latitude_deg: Floats
    incidence_deg: Floats
    slant_range_m: Floats


def tie_points(geometry: RadarGeometry) -> TiePoints:
    """Ten rows of twenty-one points over the image, at height 0."""
    from pyproj import Transformer  # noqa: PLC0415 - used here alone

    line, pixel = (
        part.ravel()
        for part in np.meshgrid(
            np.linspace(0, geometry.lines - 1, 10), np.linspace(0, geometry.samples - 1, 21), indexing="ij"
        )
    )
    points = to_ground(geometry, line, pixel, np.zeros(line.shape))
    longitude, latitude = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True).transform(*points.T)[:2]
    orbit = geometry.orbit
    u = (line * geometry.line_interval_s - orbit.middle_s) / orbit.half_s
    satellite = np.stack([np.polynomial.polynomial.polyval(u, axis) for axis in orbit.coefficients], axis=-1)
    lon, lat = np.radians(longitude), np.radians(latitude)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    sight = satellite - points
    distance = np.linalg.norm(sight, axis=-1)
    incidence = np.degrees(np.arccos(np.sum(sight * up, axis=-1) / distance))
    return TiePoints(line, pixel, longitude, latitude, incidence, slant_range(geometry, line, pixel))


def annotation_xml(
    facts: SafeFacts, geometry: RadarGeometry, orbit: Orbit, records: GroundRange, points: TiePoints
) -> str:
    """The product annotation."""
    at = _clock(facts)
    stop = (geometry.lines - 1) * geometry.line_interval_s
    near = 2 * slant_range(geometry, np.zeros(1), np.zeros(1))[0] / SPEED_OF_LIGHT
    return _document(
        "product",
        _header(facts, stop),
        f"""<generalAnnotation><productInformation><pass>{facts.direction.capitalize()}</pass>
<projection>Ground Range</projection><radarFrequency>5.405000454334350e+09</radarFrequency></productInformation>
<orbitList count="{orbit.time_s.size}">{"".join(_orbit_vectors(orbit, at))}</orbitList></generalAnnotation>""",
        f"""<imageAnnotation><imageInformation><productFirstLineUtcTime>{at(0)}</productFirstLineUtcTime>
<productLastLineUtcTime>{at(stop)}</productLastLineUtcTime><productComposition>Slice</productComposition>
<sliceNumber>{facts.slice_number}</sliceNumber><slantRangeTime>{near:.15e}</slantRangeTime>
<pixelValue>Detected</pixelValue><outputPixels>16 bit Unsigned Integer</outputPixels>
<rangePixelSpacing>{geometry.range_pixel_m:.6e}</rangePixelSpacing>
<azimuthPixelSpacing>1.000000e+01</azimuthPixelSpacing>
<azimuthTimeInterval>{geometry.line_interval_s:.15e}</azimuthTimeInterval>
<numberOfSamples>{geometry.samples}</numberOfSamples><numberOfLines>{geometry.lines}</numberOfLines>
<incidenceAngleMidSwath>{np.median(points.incidence_deg):.12e}</incidenceAngleMidSwath></imageInformation>
<processingInformation><thermalNoiseCorrectionPerformed>false</thermalNoiseCorrectionPerformed>
<ellipsoidName>WGS84</ellipsoidName></processingInformation></imageAnnotation>""",
        f"""<geolocationGrid><geolocationGridPointList count="{points.line.size}">
{"".join(_points(points, geometry, at))}
</geolocationGridPointList></geolocationGrid>""",
        f"""<coordinateConversion><coordinateConversionList count="{records.time_s.size}">
{"".join(_records(records, at))}
</coordinateConversionList></coordinateConversion>""",
    )


def calibration_xml(facts: SafeFacts, geometry: RadarGeometry, points: TiePoints) -> str:
    """Sigma, beta and gamma nought tables, every 40 pixels and every second."""
    at = _clock(facts)
    pixel = _posts(geometry.samples)
    near = points.line == points.line.min()
    theta = np.radians(np.interp(pixel, points.pixel[near], points.incidence_deg[near]))
    sigma = BETA_LUT / np.sqrt(np.sin(theta))
    tables = {
        "sigmaNought": sigma,
        "betaNought": np.full(pixel.shape, BETA_LUT),
        "gamma": sigma * np.sqrt(np.cos(theta)),
    }
    tables["dn"] = np.full(pixel.shape, 401.5858)
    vectors = "".join(
        f"<calibrationVector><azimuthTime>{at(line * geometry.line_interval_s)}</azimuthTime><line>{line}</line>"
        f"{_array('pixel', pixel, '.0f')}{''.join(_array(name, row) for name, row in tables.items())}"
        "</calibrationVector>"
        for line in vector_lines(geometry)
    )
    return _document(
        "calibration",
        _header(facts, (geometry.lines - 1) * geometry.line_interval_s),
        "<calibrationInformation><absoluteCalibrationConstant>1.393e+00</absoluteCalibrationConstant></calibrationInformation>",
        f"<calibrationVectorList>{vectors}</calibrationVectorList>",
    )


def noise_xml(facts: SafeFacts, geometry: RadarGeometry) -> str:
    """Range vectors with the dip of the antenna pattern and, per swath block, azimuth factors with scalloping."""
    at = _clock(facts)
    pixel, lines = _posts(geometry.samples), vector_lines(geometry)
    ranges = "".join(
        f"<noiseRangeVector><azimuthTime>{at(line * geometry.line_interval_s)}</azimuthTime><line>{line}</line>"
        f"{_array('pixel', pixel, '.0f')}{_array('noiseRangeLut', row)}</noiseRangeVector>"
        for line, row in zip(lines, range_noise(geometry), strict=True)
    )
    azimuths = "".join(
        f"<noiseAzimuthVector><swath>{name}</swath><firstAzimuthLine>0</firstAzimuthLine><firstRangeSample>{first}"
        f"</firstRangeSample><lastAzimuthLine>{geometry.lines - 1}</lastAzimuthLine>"
        f"<lastRangeSample>{last}</lastRangeSample>"
        f"{_array('line', line, '.0f')}{_array('noiseAzimuthLut', values)}</noiseAzimuthVector>"
        for name, first, last, line, values in azimuth_noise(geometry)
    )
    return _document(
        "noise",
        _header(facts, (geometry.lines - 1) * geometry.line_interval_s),
        f"<noiseRangeVectorList>{ranges}</noiseRangeVectorList><noiseAzimuthVectorList>{azimuths}</noiseAzimuthVectorList>",
    )


def vector_lines(geometry: RadarGeometry) -> list[int]:
    """Lines of the look-up vectors: every 668 (one second), and the last."""
    return [*range(0, geometry.lines - 1, 668), geometry.lines - 1]


def range_noise(geometry: RadarGeometry) -> Floats:
    """Noise power (DN^2) at (vector, post): -27 dB of sigma0 about the middle, more at the edges, rising slowly."""
    across = np.linspace(-1, 1, _posts(geometry.samples).size)
    base = 620.0 * (1 + 0.55 * across**2 + 0.12 * np.cos(3 * np.pi * across))
    return np.stack([base * (1 + 0.01 * k) for k in range(len(vector_lines(geometry)))])


def azimuth_noise(geometry: RadarGeometry) -> list[tuple[str, int, int, Floats, Floats]]:
    """Per swath: name, first and last sample, lines, factors."""
    edges = np.linspace(0, geometry.samples, 4).astype(int)
    line = np.unique(np.append(np.arange(0, geometry.lines, 10), geometry.lines - 1)).astype(float)
    return [
        (f"IW{k + 1}", int(edges[k]), int(edges[k + 1]) - 1, line, 1 + 0.06 * np.sin(2 * np.pi * line / 1340 + k) ** 2)
        for k in range(3)
    ]


def _posts(samples: int) -> Floats:
    return np.unique(np.append(np.arange(0, samples, 40), samples - 1)).astype(float)


def _clock(facts: SafeFacts):  # type: ignore[no-untyped-def] # noqa: ANN202 - a small local function
    def at(seconds: float) -> str:
        """Seconds after the first line, as the files write times."""
        return (facts.first_line + timedelta(seconds=float(seconds))).strftime("%Y-%m-%dT%H:%M:%S.%f")

    return at


def _header(facts: SafeFacts, stop_s: float) -> str:
    at = _clock(facts)
    return (
        f"<adsHeader><missionId>{facts.platform}</missionId><productType>GRD</productType>"
        f"<polarisation>{facts.polarisation.upper()}</polarisation><mode>IW</mode><swath>IW</swath>"
        f"<startTime>{at(0)}</startTime><stopTime>{at(stop_s)}</stopTime>"
        f"<absoluteOrbitNumber>{facts.absolute_orbit}</absoluteOrbitNumber>"
        f"<missionDataTakeId>{facts.datatake}</missionDataTakeId><imageNumber>001</imageNumber></adsHeader>"
    )


def _orbit_vectors(orbit: Orbit, at) -> Iterable[str]:  # type: ignore[no-untyped-def] # noqa: ANN001
    for time, position, velocity in zip(orbit.time_s, orbit.position_m, orbit.velocity_m_s, strict=True):
        x, y, z = (f"<{n}>{v:.9e}</{n}>" for n, v in zip("xyz", position, strict=True))
        vx, vy, vz = (f"<{n}>{v:.9e}</{n}>" for n, v in zip("xyz", velocity, strict=True))
        yield (
            f"<orbit><time>{at(time)}</time><frame>Earth Fixed</frame><position>{x}{y}{z}</position>"
            f"<velocity>{vx}{vy}{vz}</velocity></orbit>"
        )


def _points(points: TiePoints, geometry: RadarGeometry, at) -> Iterable[str]:  # type: ignore[no-untyped-def] # noqa: ANN001
    for k in range(points.line.size):
        yield (
            f"<geolocationGridPoint><azimuthTime>{at(points.line[k] * geometry.line_interval_s)}</azimuthTime>"
            f"<slantRangeTime>{2 * points.slant_range_m[k] / SPEED_OF_LIGHT:.15e}</slantRangeTime>"
            f"<line>{points.line[k]:.9f}</line><pixel>{points.pixel[k]:.9f}</pixel>"
            f"<latitude>{points.latitude_deg[k]:.15e}</latitude><longitude>{points.longitude_deg[k]:.15e}</longitude>"
            f"<height>0.000000000000000e+00</height><incidenceAngle>{points.incidence_deg[k]:.15e}</incidenceAngle>"
            "</geolocationGridPoint>"
        )


def _records(records: GroundRange, at) -> Iterable[str]:  # type: ignore[no-untyped-def] # noqa: ANN001
    for k in range(records.time_s.size):
        yield (
            f"<coordinateConversion><azimuthTime>{at(records.time_s[k])}</azimuthTime>"
            f"<slantRangeTime>{2 * records.slant_origin_m[k] / SPEED_OF_LIGHT:.15e}</slantRangeTime>"
            f"<sr0>{records.slant_origin_m[k]:.15e}</sr0>"
            f"{_array('srgrCoefficients', records.slant_to_ground[k], '.17e')}"
            f"<gr0>{records.ground_origin_m[k]:.15e}</gr0>"
            f"{_array('grsrCoefficients', records.ground_to_slant[k], '.17e')}"
            "</coordinateConversion>"
        )


def _array(name: str, values: Floats, form: str = ".6e") -> str:
    return f'<{name} count="{len(values)}">{" ".join(format(float(value), form) for value in values)}</{name}>'


def _document(root: str, *parts: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<{root}>\n' + "\n".join(parts) + f"\n</{root}>\n"
