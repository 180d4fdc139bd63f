"""The base of every options model."""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Frozen, strict about unknown fields, so that a typo in a YAML file is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
