"""Detecting and classifying objects: from tiles to features."""
