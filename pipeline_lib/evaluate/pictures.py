"""Pictures of a comparison: radar, label and errors side by side; the reliability diagram as SVG."""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.evaluate.calibration import Calibration

Picture = NDArray[np.uint8]
HIT = (31, 119, 180)
FALSE_ALARM = (214, 39, 40)
MISSED = (255, 191, 0)
NO_ANSWER = (120, 120, 120)
"""Blue, red and yellow differ in lightness, too, so that they can be told apart without colour vision."""
SIDE_PX = 320
"""Of the reliability diagram."""


def grey(power: NDArray[np.floating]) -> Picture:
    """Linear power as grey, 2nd to 98th percentile of its dB, NaN black; dims (y, x, 3)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decibel = 10 * np.log10(power)
    finite = decibel[np.isfinite(decibel)]
    low, high = np.percentile(finite, [2, 98]) if finite.size else (0.0, 1.0)
    scaled = np.clip((decibel - low) / max(high - low, 1e-6), 0, 1)
    shade = (255 * np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0)).astype(np.uint8)
    return np.repeat(shade[..., None], 3, axis=2)


def errors(background: Picture, predicted: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Picture:
    """Hits blue, false alarms red, missed water yellow, no answer grey, over the picture; dims (y, x, 3)."""
    painted = (background // 2 + 100).astype(np.uint8)
    answered = (predicted <= 1) & (truth <= 1)
    for colour, where in (
        (HIT, answered & (predicted == 1) & (truth == 1)),
        (FALSE_ALARM, answered & (predicted == 1) & (truth == 0)),
        (MISSED, answered & (predicted == 0) & (truth == 1)),
        (NO_ANSWER, ~answered),
    ):
        painted[where] = colour
    return painted


def panel(power: NDArray[np.floating], predicted: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Picture:
    """Radar, label and errors side by side with a white gap; dims (y, 3 x + gaps, 3)."""
    radar = grey(power)
    label = np.where((truth == 1)[..., None], np.uint8(255), np.uint8(20)).repeat(3, axis=2)
    label[truth > 1] = NO_ANSWER
    gap = np.full((radar.shape[0], 6, 3), 255, np.uint8)
    return np.concatenate([radar, gap, label, gap, errors(radar, predicted, truth)], axis=1)


def reliability_svg(calibration: Calibration) -> str:
    """Reliability diagram: share of water over stated likelihood, dots as large as their pixels are many."""
    margin, span = 46, SIDE_PX - 66
    rows = [row for row in calibration.table if row.pixels and row.mean_likelihood is not None]
    most = max((row.pixels for row in rows), default=1)

    def place(likelihood: float, share: float) -> tuple[float, float]:
        """Position in the picture, pixels from its upper left."""
        return margin + span * likelihood, 20 + span * (1 - share)

    points = [(*place(row.mean_likelihood or 0.0, row.water_share or 0.0), row) for row in rows]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + 6 * (row.pixels / most) ** 0.5:.1f}" fill="#1f77b4">'
        f"<title>{row.pixels} pixels, said {row.mean_likelihood:.3f}, was {row.water_share:.3f}</title></circle>"
        for x, y, row in points
    )
    (left, bottom), (right, top) = place(0, 0), place(1, 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE_PX} {SIDE_PX}" role="img" '
        f'aria-label="Reliability diagram, ECE {calibration.ece_pooled:.3f}" font-family="sans-serif" font-size="11">'
        f'<rect x="{left}" y="{top}" width="{span}" height="{span}" fill="none" stroke="#888"/>'
        f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{top}" stroke="#888" stroke-dasharray="4 3"/>'
        f'<polyline points="{path}" fill="none" stroke="#1f77b4" stroke-width="2"/>{dots}'
        f'<text x="{left}" y="{bottom + 14}">0</text><text x="{right - 6}" y="{bottom + 14}">1</text>'
        f'<text x="{left + span / 2}" y="{bottom + 30}" text-anchor="middle">stated likelihood of water</text>'
        f'<text x="14" y="{20 + span / 2}" text-anchor="middle" transform="rotate(-90 14 {20 + span / 2})">'
        f'share labelled water</text><text x="{left + 8}" y="{top + 16}">ECE {calibration.ece_pooled:.3f}, '
        f"Brier {calibration.brier_pooled:.3f}</text></svg>\n"
    )
