"""What is published of an event now."""

from pathlib import Path

from pipeline_lib.model import Product
from pipeline_lib.publish.publication import product_of, read_record


def is_retracted(out: Path, event_id: str) -> bool:
    """Whether the current version of an event says that a person took it back."""
    record = read_record(out / event_id)
    return record is not None and record.retracted


def published_product(out: Path, event_id: str) -> Product | None:
    """The current version of an event under ``out``; None where none was published."""
    folder = out.resolve() / event_id
    record = read_record(folder)
    return None if record is None else product_of(folder, record)
