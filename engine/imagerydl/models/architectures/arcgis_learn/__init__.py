"""The networks in packages saved by arcgis.learn, rebuilt so that their weights fit name by name."""
