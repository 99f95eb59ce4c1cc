"""The host of Esri Python raster functions: a model whose logic is a Python class of its own.

A definition names the class's file as ``InferenceFunction``. The host imports it in surroundings like
those ArcGIS gives it (:mod:`.host`), asks what it wants to know (:mod:`.parameters`) and how it wants its
pixels (:mod:`.configuration`), tells it of the raster (:mod:`.raster_info`) and hands it one block after
another (:mod:`.blocks`). :mod:`..runtimes.raster_function` makes a runtime of that.

:mod:`.files` and :mod:`.builtin` are standard library only.
"""
