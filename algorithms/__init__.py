"""One small module per tool: which tool it binds, and what is special about it in QGIS.

Each module is named after the tool's id and defines the class ``Algorithm``.
"""
