"""The engine's folder, a package only so that the plugin can import the engine relatively."""
