"""Imagery: sources, mosaics, grids and windows, reading and writing."""
