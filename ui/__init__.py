"""Docks, dialogs and parameter widgets; never numerics, never the engine's libraries."""
