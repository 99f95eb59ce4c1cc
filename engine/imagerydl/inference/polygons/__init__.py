"""Class rasters to polygons, strip by strip."""

from .writing import write_polygons

__all__ = ["write_polygons"]
