"""Options: one frozen model a step, every field described, bounded and with its unit."""

from pipeline_lib.options.base import Options

__all__ = ["Options"]
