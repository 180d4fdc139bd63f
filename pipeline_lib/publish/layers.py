"""The published layers: what each pixel value means, and its colour."""

from dataclasses import dataclass

from pipeline_lib.flood.track import UNKNOWN_HOURS
from pipeline_lib.model import Advisory, Exclusion

Colour = tuple[int, int, int, int]


@dataclass(frozen=True)
class Code:
    """One value of a class layer."""

    value: int
    name: str
    """Machine name, as in STAC's classification extension."""
    title: str
    """For people."""
    colour: Colour
    """Red, green, blue, alpha, 0 to 255."""


@dataclass(frozen=True)
class Layer:
    """One published raster."""

    name: str
    title: str
    description: str
    dtype: str
    nodata: int
    codes: tuple[Code, ...] = ()
    flags: type[Exclusion] | type[Advisory] | None = None
    unit: str | None = None
    time_of: str | None = None
    """``moment`` for hours since the epoch, ``span`` for a number of hours."""
    bands: tuple[str, ...] = ()
    """Names of the bands of a picture; one band without a name where empty."""


NOT_SEEN = Code(255, "not_observed", "not observed", (0, 0, 0, 0))
CANNOT_TELL = Code(254, "excluded", "radar cannot tell", (150, 142, 130, 170))
BLUE, RED, GREEN, PURPLE = (44, 123, 182, 255), (215, 48, 39, 255), (217, 130, 0, 255), (123, 50, 148, 255)
CLEAR = (255, 255, 255, 0)

_FLOOD = (Code(0, "no_flood", "no flood", CLEAR), Code(1, "flood", "flood", RED), CANNOT_TELL, NOT_SEEN)
_WATER = (Code(0, "dry", "dry", CLEAR), Code(1, "water", "water", BLUE), CANNOT_TELL, NOT_SEEN)
_REFERENCE = (
    Code(0, "none", "no reference water", CLEAR),
    Code(1, "permanent", "permanent water", (33, 102, 172, 255)),
    Code(2, "seasonal", "seasonal water", (116, 173, 209, 255)),
    Code(255, "unknown", "unknown", (0, 0, 0, 0)),
)
_CLASSES = (
    Code(0, "dry", "dry", CLEAR),
    Code(1, "reference_water", "water without a flood", BLUE),
    Code(2, "open_flood", "open flood", RED),
    Code(3, "flooded_vegetation", "flooded vegetation", GREEN),
    Code(4, "flooded_town", "flooded town", PURPLE),
    CANNOT_TELL,
    NOT_SEEN,
)
_STATE = (
    Code(0, "never_flooded", "never flooded", CLEAR),
    Code(1, "newly_flooded", "newly flooded", (165, 0, 38, 255)),
    Code(2, "still_flooded", "still flooded", (244, 109, 67, 255)),
    Code(3, "receded", "receded", (253, 203, 110, 255)),
    CANNOT_TELL,
    NOT_SEEN,
)

PASS_LAYERS = (
    Layer("flood_extent", "Flood extent", "Water seen that is not reference water", "uint8", 255, _FLOOD),
    Layer("water_extent", "Water extent", "Flood extent or reference water", "uint8", 255, _WATER),
    Layer("reference_water", "Reference water", "Water without a flood", "uint8", 255, _REFERENCE),
    Layer("flood_class", "Flood class", "Open flood, flooded vegetation, flooded town", "uint8", 255, _CLASSES),
    Layer("likelihood", "Likelihood", "Calibrated probability of water", "uint8", 255, unit="%"),
    Layer("uncertainty", "Uncertainty", "Probability of the less likely class", "uint8", 255, unit="%"),
    Layer("exclusion", "Exclusion", "Why radar cannot tell here; bits", "uint16", 65535, flags=Exclusion),
    Layer("advisory", "Advisory", "Warnings that leave the class as it is; bits", "uint8", 255, flags=Advisory),
)
_MOMENT = {"dtype": "uint16", "nodata": UNKNOWN_HOURS, "unit": "h", "time_of": "moment"}
_SPAN = {"dtype": "uint16", "nodata": UNKNOWN_HOURS, "unit": "h", "time_of": "span"}
EVENT_LAYERS = (
    *(layer for layer in PASS_LAYERS if layer.name != "advisory"),
    Layer("observations", "Observations", "Passes that could tell", "uint16", 65535),
    Layer("flood_observations", "Flooded observations", "Passes that saw flood", "uint16", 65535),
    Layer("first_seen", "First seen", "Hours from the epoch to the first flooded observation", **_MOMENT),  # type: ignore[arg-type]
    Layer("last_seen", "Last seen", "Hours from the epoch to the last flooded observation", **_MOMENT),  # type: ignore[arg-type]
    Layer("peak_date", "Peak", "Hours from the epoch to the likeliest flooded observation", **_MOMENT),  # type: ignore[arg-type]
    Layer("duration", "Duration", "Hours under flood, gaps of change taken half", **_SPAN),  # type: ignore[arg-type]
    Layer("duration_uncertainty", "Duration, plus or minus", "Half the gaps of change", **_SPAN),  # type: ignore[arg-type]
    Layer("age", "Age", "Hours from the newest observation here to the newest pass", **_SPAN),  # type: ignore[arg-type]
    Layer("state", "State", "New, still or no longer flooded at the newest observation", "uint8", 255, _STATE),
)
DEPTH = Layer(
    "depth", "Water depth", "Estimated from the elevation model; no data = unknown", "uint16", 65535, unit="cm"
)
OPTICAL_LAYERS = (
    Layer("optical_water", "Water before the event, optical", "Water that Sentinel-2 saw before", "uint8", 255, _WATER),
    Layer(
        "true_colour",
        "Before the event, true colour",
        "Clear pixels of Sentinel-2 before the event; 1 to 255 is reflectance 0 to 0.3 (gamma 1.4)",
        "uint8",
        0,
        bands=("red", "green", "blue"),
    ),
)
"""Of the time before, where the plan has Sentinel-2."""
