"""Sentinel-2 reflectance: clouds, the best clear pixel, water indices, water maps."""
