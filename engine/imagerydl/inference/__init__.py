"""Inference: the streaming pipeline from raster to class raster, and how overlaps are blended."""
