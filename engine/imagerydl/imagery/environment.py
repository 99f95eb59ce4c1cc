"""How GDAL is set up: a small block cache, so that memory stays flat, and errors that are errors."""

from __future__ import annotations

import os
import warnings
from functools import cache

#: Megabytes of decoded blocks GDAL keeps, over all open rasters. Tiles are read row by row, so
#: one row of blocks is all that is ever needed again; GDAL's default (5 % of the machine's
#: memory) would make the memory of a run depend on the raster's area.
CACHE_MEGABYTES = 64

_OPTIONS = {
    "GDAL_CACHEMAX": str(CACHE_MEGABYTES),
    # Files of a mosaic that stay open: each holds its directory, and a mosaic may have thousands of them.
    "GDAL_MAX_DATASET_POOL_SIZE": "100",
    # A JPEG that ends too early is an error, not a picture with a grey half.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",
    "GDAL_NUM_THREADS": "1",
    # Servers that do not answer are an error after a while, not a run that never ends (seconds).
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
}


@cache
def configure_gdal() -> None:
    """Apply the options once per process, unless the environment already sets them.

    Options travel through environment variables because they have to hold in every thread, and
    rasterio's own mechanism is per thread.
    """
    for name, value in _OPTIONS.items():
        os.environ.setdefault(name, value)
    from rasterio.errors import NotGeoreferencedWarning

    # Pixel space is an ordinary case here.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
