"""Run stac-api-validator on a URL with the schemas that pystac ships in place of those on the internet."""

import json
import sys
from pathlib import Path

import pystac
import stac_validator.utilities
import stac_validator.validate
from stac_api_validator.__main__ import main

SCHEMAS = Path(pystac.__file__).parent / "validation" / "jsonschemas"
CLASSES = (
    "core",
    "collections",
    "features",
    "item-search",
    "filter",
    "item-search#sort",
    "item-search#fields",
    "item-search#query",
)
OPTIONS = {
    "collection": "sentinel-1-rtc",
    "fields-nested-property": "properties.platform",
    "query-comparison-field": "sat:relative_orbit",
    "query-eq-value": "66",
    "query-neq-value": "66",
    "query-lt-value": "66",
    "query-lte-value": "66",
    "query-gt-value": "15",
    "query-gte-value": "15",
    "query-substring-field": "platform",
    "query-starts-with-value": "SENT",
    "query-ends-with-value": "1A",
    "query-contains-value": "INEL",
    "query-in-field": "sar:polarizations",
    "query-in-values": "VV,VH",
}


def shipped(url: str, *_: object, **__: object) -> dict:
    """The shipped copy of a schema; 1.0 documents are valid 1.1 documents but for the version.

    Schemas of extensions are shipped nowhere: what they say is not checked here.
    """
    if "stac-extensions" in url:
        return {"$schema": "http://json-schema.org/draft-07/schema#"}
    path = next(SCHEMAS.rglob(url.rsplit("/", 1)[-1]))
    return json.loads(path.read_text().replace('"const": "1.1.0"', '"enum": ["1.0.0", "1.1.0"]'))


for module in (stac_validator.utilities, stac_validator.validate):
    for name in ("fetch_and_parse_schema", "fetch_schema_with_override"):
        if hasattr(module, name):
            setattr(module, name, shipped)

if __name__ == "__main__":
    url, geometry = sys.argv[1:]
    arguments = [part for name in CLASSES for part in ("--conformance", name)]
    arguments += [part for name, value in OPTIONS.items() for part in (f"--{name}", value)]
    main([*arguments, "--root-url", url, "--geometry", geometry])
