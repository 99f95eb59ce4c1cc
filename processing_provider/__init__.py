"""How the engine's tools become Processing algorithms."""
