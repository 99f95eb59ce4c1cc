"""The environment the engine runs in: where it lies and how it is built, with uv.

Standard library only, and free of anything newer than Python 3.9: it runs inside QGIS, and with
whatever Python a bare machine has, before there is an environment.
"""
