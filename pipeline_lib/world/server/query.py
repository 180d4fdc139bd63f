"""A STAC API search, read from GET or POST and checked."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

QUERY_OPERATORS = frozenset({"eq", "neq", "lt", "lte", "gt", "gte", "in", "startsWith", "endsWith", "contains"})


class RequestError(ValueError):
    """A request that cannot be meant; answered with 400 and this sentence."""


class SortBy(BaseModel):
    """One sort criterion."""

    model_config = ConfigDict(extra="forbid")
    field: str
    direction: str = Field(default="asc", pattern="^(asc|desc)$")


class Fields(BaseModel):
    """Which parts of items are wanted."""

    include: list[str] | None = None
    exclude: list[str] | None = None


class Search(BaseModel):
    """A search as POST sends it; parameters that are not known are refused, because ignoring one gives wrong items."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    collections: list[str] | None = None
    ids: list[str] | None = None
    bbox: list[float] | None = None
    intersects: dict[str, Any] | None = None
    datetime: str | None = None
    limit: int = Field(default=10, ge=1)
    query: dict[str, dict[str, Any]] | None = None
    filter: Any = None
    filter_lang: str | None = Field(default=None, alias="filter-lang")
    filter_crs: str | None = Field(default=None, alias="filter-crs")
    sortby: list[SortBy] | None = None
    fields: Fields | None = None
    token: str | None = None

    @field_validator("collections", "ids", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """A single name for a list of one, as some clients send it."""
        return [value] if isinstance(value, str) else value

    @field_validator("fields", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise ValueError("expected an object with include and exclude")
        return value

    @model_validator(mode="after")
    def _meant(self) -> "Search":
        if self.bbox is not None and self.intersects is not None:
            raise ValueError("bbox and intersects cannot be given together")
        if self.filter_crs not in {None, "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}:
            raise ValueError("filter-crs: only CRS84 is supported")
        if self.filter_lang not in {None, "cql2-json", "cql2-text"}:
            raise ValueError("filter-lang: cql2-json and cql2-text are supported")
        for conditions in (self.query or {}).values():
            unknown = set(conditions) - QUERY_OPERATORS
            if unknown:
                raise ValueError(
                    f"query: unknown operator {min(unknown)}; known are {', '.join(sorted(QUERY_OPERATORS))}"
                )
        return self

    @field_validator("bbox")
    @classmethod
    def _box(cls, value: list[float] | None) -> list[float] | None:
        if value is None:
            return None
        if len(value) not in {4, 6}:
            raise ValueError("bbox has 4 or 6 numbers")
        west, south, east, north = flat(value)
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
            raise ValueError("bbox is west,south,east,north in degrees")
        return value


def read_search(content: Mapping[str, Any]) -> Search:
    """A search from a POST body.

    Raises:
        RequestError: it cannot be meant.
    """
    try:
        return Search.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{where}: {first['msg']}" if where else first["msg"]) from error


def read_parameters(parameters: Mapping[str, str]) -> Search:
    """A search from GET parameters: lists at commas, JSON where POST has objects, ``+``/``-`` in sortby and fields.

    Raises:
        RequestError: it cannot be meant.
    """
    content: dict[str, Any] = dict(parameters)
    try:
        for name in ("collections", "ids"):
            if name in content:
                content[name] = [part for part in content[name].split(",") if part]
        if "bbox" in content:
            content["bbox"] = [float(part) for part in content["bbox"].split(",")]
        for name in ("intersects", "query"):
            if name in content:
                content[name] = json.loads(content[name])
        if content.get("filter-lang") == "cql2-json" and "filter" in content:
            content["filter"] = json.loads(content["filter"])
    except ValueError as error:
        raise RequestError(f"a parameter cannot be read: {error}") from error
    if "sortby" in content:
        content["sortby"] = [
            {"field": part.lstrip("+- "), "direction": "desc" if part.startswith("-") else "asc"}
            for part in content["sortby"].split(",")
            if part
        ]
    if "fields" in content:
        parts = [part.strip() for part in content["fields"].split(",") if part.strip()]
        include = [part.lstrip("+") for part in parts if not part.startswith("-")]
        exclude = [part[1:] for part in parts if part.startswith("-")]
        content["fields"] = {"exclude": exclude} | ({"include": include} if include or not exclude else {})
    return read_search(content)


def flat(bbox: list[float]) -> tuple[float, float, float, float]:
    """West, south, east, north of a 2D or 3D bbox."""
    half = len(bbox) // 2
    return bbox[0], bbox[1], bbox[half], bbox[half + 1]
