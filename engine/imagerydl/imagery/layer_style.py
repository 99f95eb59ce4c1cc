"""The style QGIS gives a vector layer: kept in its GeoPackage, as QGIS does it. Standard library only."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def save_layer_style(path: Path, layer: str, name: str, qml: str, description: str) -> None:
    """Store a style where QGIS looks for that of a layer when it opens a GeoPackage.

    Args:
        path: The GeoPackage, closed.
        layer: A layer with geometries in it.
        name: Name of the style.
        qml: The style.
        description: What it shows.
    """
    with closing(sqlite3.connect(path)) as database, database:
        (geometry,) = database.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()
        # The table as QGIS itself makes it.
        database.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
            "f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), "
            "f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, "
            "useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), "
            "update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles')"
        )
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "styleName, styleQML, styleSLD, useAsDefault, description, owner, ui) "
            "VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '', '')",
            (layer, geometry, name, qml, description),
        )
