"""Settings: the typed schema, and ready-made files for each use."""
