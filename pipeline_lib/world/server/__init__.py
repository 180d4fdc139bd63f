"""An embedded STAC API and asset server over a world folder."""

from pipeline_lib.world.server.serving import serve

__all__ = ["serve"]
