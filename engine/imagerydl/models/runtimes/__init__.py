"""Runtimes: what computes a model's output, each behind the same small interface."""

from .opening import open_pixel_model
from .protocol import PixelModel

__all__ = ["PixelModel", "open_pixel_model"]
