"""How good a result is: objects against objects, class rasters against reference."""
