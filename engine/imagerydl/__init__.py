"""Imagery Deep Learning: the engine behind the QGIS plugin, usable on its own.

Importing the package, its tool declarations and its command line touches nothing outside the
standard library; a tool imports what it needs when it runs.
"""

__version__ = "0.1.0"
