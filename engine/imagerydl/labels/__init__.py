"""Labels: what lies in a window of an image, from features, class rasters or colour masks."""
