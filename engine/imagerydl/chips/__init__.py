"""Training chips: exporting them in Esri's formats, and reading what was exported."""
