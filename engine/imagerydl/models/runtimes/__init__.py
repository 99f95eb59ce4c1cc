"""Runtimes: what computes a model, one module a library, chosen by framework and file."""

from .opening import declared_arguments, foreign_code, open_pixel_model
from .protocol import PixelModel

__all__ = ["PixelModel", "declared_arguments", "foreign_code", "open_pixel_model"]
