"""Flood maps from Sentinel-1: everything that computes, and nothing that orchestrates.

Data flow: ``Event -> [Acquisition] -> MappingPlan -> Scene -> WaterExtent -> FloodMap -> Product -> Scores``.
The packages are layers, lowest first: ``errors``, ``options``, ``model``, ``catalog | grid | store``, ``load``,
``sar | optical | terrain | segmentation | nn``, ``water``, ``flood``, ``publish | evaluate``, ``steps``.
"""
