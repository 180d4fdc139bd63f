"""Builders of passes, as a catalogue shows them and as a register knows them."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline_lib.model import Acquisition, CatalogItem, ProductType
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.watch import KnownPass, PassState
from pipeline_lib.watch.decide import DuePass

NOW = datetime(2024, 5, 20, tzinfo=UTC)
AOI = area_of_bbox(10, 45, 11, 46)


def build_acquisition(
    *slices, at=NOW - timedelta(hours=5), coverage=1.0, platform="S1A", orbit=66, version="v1"
) -> Acquisition:
    """A pass that begins at ``at``, of the slices with these numbers, 25 s each; the first one where none is named."""
    items = tuple(
        CatalogItem(
            item_id=f"{platform}_{at:%Y%m%dT%H%M}_{number}",
            collection="sentinel-1-rtc",
            start=at + timedelta(seconds=25 * number),
            end=at + timedelta(seconds=25 * number + 25),
            footprint=AOI,
            assets={"vv": f"https://a.example/{number}.tif"},
            facts={"updated": version},
        )
        for number in slices or (0,)
    )
    return Acquisition(
        acquisition_id=f"{platform}_{items[0].start:%Y%m%dT%H%M%S}_R{orbit:03d}_D",
        platform=platform,
        product=ProductType.RTC,
        start=items[0].start,
        end=items[-1].end,
        relative_orbit=orbit,
        slices=items,
        coverage=coverage,
    )


def build_known(day, **changes) -> KnownPass:
    """What a register knows of the pass ``day`` days from now, waiting unless told otherwise."""
    fields = {
        "watch": "po",
        "pass_id": f"S1A_{day}",
        "platform": "S1A",
        "relative_orbit": 66,
        "start": NOW + timedelta(days=day),
        "fingerprint": "f",
        "coverage": 1.0,
        "state": PassState.WAITING,
        "first_seen": NOW,
        "last_change": NOW,
        **changes,
    }
    return KnownPass.model_validate(fields)


@pytest.fixture(scope="session")
def acquisition():
    return build_acquisition


@pytest.fixture(scope="session")
def known():
    return build_known


@pytest.fixture(scope="session")
def due():
    """Builder of a pass that is due ``day`` days from now."""
    return lambda day, **changes: DuePass(
        acquisition=build_acquisition(at=NOW + timedelta(days=day)), known=build_known(day, **changes), revision=False
    )


@pytest.fixture(scope="session")
def remember():
    """Write passes into a register, replacing what it knew of them."""

    def write(register, *passes):
        with register.revising("po") as (_, written):
            written.extend(passes)

    return write
