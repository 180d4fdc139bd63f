"""The real annotation that this package's tests compare with."""

import pytest

from pipeline_lib.load.safe_annotation import read_annotation
from pipeline_lib.load.safe_files import find_safe
from pipeline_lib.sar.range_doppler import RadarGeometry

ROME = "s1_safe/sarsen/tests/data/S1B_IW_GRDH_1SDV_20211223T051122_20211223T051147_030148_039993_5371.SAFE"


@pytest.fixture(scope="session")
def rome_safe(real_data):
    return real_data / ROME


@pytest.fixture(scope="session")
def rome(rome_safe):
    return read_annotation(find_safe(str(rome_safe)), "vv")


@pytest.fixture(scope="session")
def rome_geometry(rome):
    return RadarGeometry.of(rome)
