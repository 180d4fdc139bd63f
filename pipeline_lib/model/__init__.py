"""The types of the data flow: frozen records, and datasets held to contracts."""

from pipeline_lib.model.acquisition import Acquisition, CatalogItem, CatalogReference, OrbitDirection, ProductType
from pipeline_lib.model.contract import VariableContract, check_contracts
from pipeline_lib.model.dataset import (
    DRY,
    EXCLUDED,
    LEAST_NOISE,
    NOT_OBSERVED,
    WATER,
    Advisory,
    Exclusion,
    check_flood_map,
    check_scene,
    check_water_extent,
    polarisations_of,
    refuse_decibels,
)
from pipeline_lib.model.decision import Decision, Grounds, PassVerdict
from pipeline_lib.model.event import Event
from pipeline_lib.model.figures import EventFigures, EventState, Moment, PassFigures, Significance
from pipeline_lib.model.grid import Grid
from pipeline_lib.model.made_by import DetectorUsed, NetworkUsed
from pipeline_lib.model.plan import MappingPlan, PlannedPass
from pipeline_lib.model.product import Confusion, Product, Stored
from pipeline_lib.model.record import Record, digest_of

__all__ = [
    "DRY",
    "EXCLUDED",
    "LEAST_NOISE",
    "NOT_OBSERVED",
    "WATER",
    "Acquisition",
    "Advisory",
    "CatalogItem",
    "CatalogReference",
    "Confusion",
    "Decision",
    "DetectorUsed",
    "Event",
    "EventFigures",
    "EventState",
    "Exclusion",
    "Grid",
    "Grounds",
    "MappingPlan",
    "Moment",
    "NetworkUsed",
    "OrbitDirection",
    "PassFigures",
    "PassVerdict",
    "PlannedPass",
    "Product",
    "ProductType",
    "Record",
    "Significance",
    "Stored",
    "VariableContract",
    "check_contracts",
    "check_flood_map",
    "check_scene",
    "check_water_extent",
    "digest_of",
    "polarisations_of",
    "refuse_decibels",
]
