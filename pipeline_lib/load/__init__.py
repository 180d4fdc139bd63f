"""Pixels of catalogue items onto the event's grid, lazily, in Dask chunks."""
