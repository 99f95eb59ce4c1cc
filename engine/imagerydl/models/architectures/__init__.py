"""The networks this engine trains, by model type, and their weights."""
