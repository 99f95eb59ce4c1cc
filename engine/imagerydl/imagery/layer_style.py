"""The style QGIS gives a vector layer: kept in its GeoPackage, as QGIS does it. Standard library only."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Optional


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


def copy_layer_style(source: Path, source_layer: Optional[str], path: Path, layer: str) -> bool:
    """Give a layer the default style of the one it was made of, where both lie in GeoPackages.

    Args:
        source: The file it was made of.
        source_layer: The layer in it; None for its first one.
        path: A GeoPackage, closed, without styles.
        layer: The layer in that.

    Returns:
        Whether there was a style to give.
    """
    if source.suffix.lower() != ".gpkg" or path.suffix.lower() != ".gpkg":
        return False
    # Read only, and never made: GDAL has read this file a moment ago, whatever it is called.
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as database:
        try:
            if source_layer is None:
                (source_layer,) = database.execute("SELECT table_name FROM gpkg_geometry_columns").fetchone()
            style = database.execute(
                "SELECT styleName, styleQML, description FROM layer_styles "
                "WHERE f_table_name = ? AND useAsDefault ORDER BY id DESC",
                (source_layer,),
            ).fetchone()
        except sqlite3.Error:  # no table of styles, or a file that only GDAL understands
            return False
    if style is None or not style[1]:
        return False
    name, qml, description = style
    save_layer_style(path, layer, name or layer, qml, description or "")
    return True
