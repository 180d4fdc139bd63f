"""What is published of an event now."""

from pathlib import Path

from pipeline_lib.model import Product
from pipeline_lib.publish.publication import product_of, read_record


def published_product(out: Path, event_id: str) -> Product | None:
    """The current version of an event under ``out``; None where none was published."""
    folder = out.resolve() / event_id
    record = read_record(folder)
    return None if record is None else product_of(folder, record)
