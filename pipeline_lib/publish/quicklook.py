"""``quicklook.png``: the event at a glance, for a message or a report."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline_lib.model import EXCLUDED, EventFigures
from pipeline_lib.publish.layers import PASS_LAYERS, Code

INK, PAPER, QUIET = (23, 32, 42), (255, 255, 255), (90, 100, 112)
MARGIN, FOOT_PX, HEAD_PX = 24, 150, 84
MAP_PX = 1200
SHOWN = (2, 3, 4, 1, EXCLUDED)
"""Classes in the legend, in order."""
NOT_MAPPED = "not mapped: high ground, or radar cannot tell"
LAND = np.array([210, 210, 210])
"""Common grey of land in the picture."""
VEIL = 0.5
"""Share of its colour with which ground that is not mapped lies over the radar, which still shows the land there."""


def write_quicklook(
    path: Path,
    classes: np.ndarray,
    backdrop: np.ndarray,
    *,
    title: str,
    subtitle: str,
    figures: EventFigures,
    metres: float,
) -> None:
    """Draw the event's classes over radar, with legend, scale and figures.

    Args:
        path: PNG to write.
        classes: uint8 (rows, columns) of the flood classes.
        backdrop: uint8 grey of the same shape, 0 = not observed.
        title: first line.
        subtitle: second line.
        figures: of the event.
        metres: ground size of a pixel.
    """
    scale = MAP_PX / max(classes.shape)
    picture = _map(classes, backdrop, scale)
    width = max(picture.width + 2 * MARGIN, 900)
    sheet = Image.new("RGB", (width, picture.height + HEAD_PX + FOOT_PX), PAPER)
    sheet.paste(picture, ((width - picture.width) // 2, HEAD_PX))
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 14), title, INK, font=_font(28))
    draw.text((MARGIN, 50), subtitle, QUIET, font=_font(17))
    _legend(draw, HEAD_PX + picture.height + 16)
    _scale_bar(draw, width, HEAD_PX + picture.height + 20, metres / scale)
    low, high = figures.flood_area_low_km2, figures.flood_area_high_km2
    text = (
        f"Flooded {figures.flood_area_km2:,.2f} square km (likely {low:,.2f} to {high:,.2f})   \u00b7   "
        f"observed {figures.observed_share:.0%} of the area   \u00b7   {figures.state}"
    )
    draw.text((MARGIN, HEAD_PX + picture.height + 96), text, INK, font=_font(20))
    sheet.save(path, "PNG", optimize=True)


def _map(classes: np.ndarray, backdrop: np.ndarray, scale: float) -> Image.Image:
    """Radar in grey, classes in colour, what was not observed hatched."""
    grey = (255 - (255 - backdrop.astype(np.float32)) * 0.75).astype(np.uint8)
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    rows, columns = np.indices(classes.shape)
    hatch = np.where((rows + columns) % 8 < 2, 150, 226).astype(np.uint8)
    rgb[classes == 255] = np.repeat(hatch[classes == 255, np.newaxis], 3, axis=1)
    for code in _codes().values():
        where, share = classes == code.value, VEIL if code.value == EXCLUDED else 1.0
        if code.colour[3]:
            rgb[where] = _laid_over(code, rgb[where], share)
    image = Image.fromarray(rgb, mode="RGB")
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def _laid_over(code: Code, ground: np.ndarray, share: float) -> np.ndarray:
    """The colour of a class over the radar (..., 3), uint8."""
    mixed: np.ndarray = np.rint(share * np.array(code.colour[:3]) + (1 - share) * ground).astype(np.uint8)
    return mixed


def _legend(draw: ImageDraw.ImageDraw, top: int) -> None:
    """Swatches with their names."""
    left = MARGIN
    for value in SHOWN:
        code = _codes()[value]
        title = NOT_MAPPED if value == EXCLUDED else code.title
        fill = tuple(_laid_over(code, LAND, VEIL).tolist()) if value == EXCLUDED else code.colour[:3]
        draw.rectangle((left, top, left + 26, top + 20), fill=fill, outline=INK)
        draw.text((left + 34, top - 1), title, INK, font=_font(16))
        left += 52 + round(draw.textlength(title, font=_font(16)))
    box = (MARGIN, top + 36, MARGIN + 26, top + 56)
    draw.rectangle(box, fill=(226, 226, 226), outline=INK)
    for shift in range(-20, 26, 7):
        draw.line(
            (box[0] + max(shift, 0), box[3] + min(shift, 0), box[0] + min(shift + 20, 26), box[1] + max(0, shift - 6)),
            QUIET,
        )
    draw.text((MARGIN + 34, top + 35), "not observed", INK, font=_font(16))


def _scale_bar(draw: ImageDraw.ImageDraw, width: int, top: int, metres: float) -> None:
    """A round length of at most 200 pixels, at the right."""
    longest = metres * 200
    power = 10 ** np.floor(np.log10(longest))
    length = max(step * power for step in (1, 2, 5) if step * power <= longest)
    pixels = round(length / metres)
    right = width - MARGIN
    draw.rectangle((right - pixels, top + 40, right, top + 46), fill=INK)
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    draw.text((right - pixels, top + 50), label, INK, font=_font(16))


def _codes() -> dict[int, Code]:
    """Codes of the class layer by value."""
    layer = next(layer for layer in PASS_LAYERS if layer.name == "flood_class")
    return {code.value: code for code in layer.codes}


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that no machine lacks it."""
    return ImageFont.load_default(size)
