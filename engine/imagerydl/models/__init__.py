"""Model definitions and packages, networks, and the runtimes that run them."""
