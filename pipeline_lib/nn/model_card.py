"""The model card: what a model is, what it was made from, how good it is, and what it must not be used for."""

from typing import Literal

from pydantic import Field, JsonValue

from pipeline_lib.model.record import Record
from pipeline_lib.nn.inputs import InputContract
from pipeline_lib.options.train import NetworkOptions, Recipe

FORMAT_VERSION = 1


class BandRange(Record):
    """What the training chips' statistics covered, in network units."""

    name: str
    mean: tuple[float, float]
    """1st and 99th percentile of the chips' means."""
    spread: tuple[float, float]
    """1st and 99th percentile of the chips' standard deviations."""


class ModelCard(Record):
    """Machine-readable card, ``model.json`` of a model folder."""

    format_version: int = FORMAT_VERSION
    name: str
    description: str
    target: Literal["water", "flood"]
    """Meaning of the positive class."""
    inputs: InputContract
    network: NetworkOptions
    halo_px: int | None
    """Margin that makes a tile's centre exact; None: the network sees the whole tile, tiles are blended."""
    stride_px: int
    """Tiles start at multiples of it."""
    scale: float = 1.0
    """Calibration: P(water) = sigmoid(scale * odds + bias)."""
    bias: float = 0.0
    threshold: float = Field(0.5, gt=0, lt=1)
    """Probability from which a pixel is called water."""
    ranges: tuple[BandRange, ...] = ()
    """Outside of these a scene is out of distribution."""
    recipe: Recipe | None = None
    data: tuple[str, ...] = ()
    """Data sets it learned from, with their terms."""
    metrics: dict[str, JsonValue] = {}
    """Figures with their definitions."""
    limits: tuple[str, ...] = ()
    """What it cannot do."""
    software: str = ""
    digests: dict[str, str] = {}
    """SHA-256 of every file of the folder that is loaded."""
    teacher_bands: tuple[str, ...] = ()
    """The network's channels in order, where it is a teacher: it sees optical bands as well, which no Scene has, and so
    can be scored on a label set with optical images, but cannot map."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the network's channels, in order."""
        return self.teacher_bands or self.inputs.names


DATA_TERMS = {
    "world": "simulated by overbank (Apache-2.0)",
    "ombria": "OMBRIA (Drakonakis et al. 2022), no licence file; Copernicus EMS and Sentinel data with attribution",
    "etci2021": "ETCI-2021 (NASA IMPACT 2021), no licence file; Sentinel-1 data with attribution",
    "cems_rcnn": "CEMS EMSR763 tiles, no licence file; Copernicus EMS and Sentinel data with attribution",
    "sen1floods11": "Sen1Floods11 (Bonafilia et al. 2020), no licence file",
    "paraguay_24341": "Sen1Floods11 (Bonafilia et al. 2020), no licence file",
    "stac_overflow": "STAC Overflow (Microsoft, DrivenData 2021), no licence file; Sentinel-1 data with attribution",
    "dfc2024": "Data Fusion Contest 2024 (IEEE GRSS), no licence file; Copernicus data with attribution",
    "puerto_rico_2017": "Puerto Rico 2017, no licence file; Copernicus GFM and Sentinel-1 data with attribution",
    "puerto_rico_sea": "Puerto Rico 2017, no licence file; Sentinel-1 data with attribution",
}

LIMITS = (
    "Wind-roughened water, flooded forest and flooded streets can look dry to C-band radar.",
    "Dry sand, tarmac, wet snow and radar shadow can look like water: use with the exclusion mask.",
    "Trained at 10 m; other pixel sizes are warned about.",
)


def card_markdown(card: ModelCard) -> str:
    """The card for people, Markdown."""
    bands = ", ".join(card.bands)
    learned = f"{card.recipe.kind}, seed {card.recipe.seed}" if card.recipe else "not recorded"
    lines = [
        f"# {card.name}",
        "",
        card.description,
        "",
        f"- **Finds**: {card.target}",
        f"- **Input**: {bands}; units {card.inputs.units}; {card.inputs.pixel_m:g} m pixels"
        + ("; needs the time before the event" if card.inputs.needs_history else "")
        + ("; a teacher: it needs optical images and cannot map" if card.teacher_bands else ""),
        f"- **Network**: {card.network.architecture}, {card.network.encoder} encoder, width {card.network.width}",
        f"- **Calibration**: P = sigmoid({card.scale:.4f} odds {card.bias:+.4f}), threshold {card.threshold:g}",
        f"- **Learned by**: {learned}",
        f"- **Software**: {card.software}",
        "",
        "## Data",
        "",
        *(f"- {line}" for line in card.data),
        "",
        "## Figures",
        "",
        *(f"- {name}: {_figure(value)}" for name, value in sorted(card.metrics.items())),
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in card.limits),
        "",
    ]
    return "\n".join(lines)


def _figure(value: object) -> str:
    """A figure as a reader wants it; the scores of a fold side by side, those that are undefined left out."""
    if not isinstance(value, dict):
        return str(value)
    known = {name: score for name, score in value.items() if score is not None}
    return ", ".join(
        f"{name} {score:.4g}" if isinstance(score, float) else f"{name} {score}" for name, score in known.items()
    )
