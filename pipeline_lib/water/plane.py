"""The array that water is worked out on."""

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
"""float32 (y, x), or a stack of such: power, decibel, log-odds or probability as each function says; NaN = no data."""
