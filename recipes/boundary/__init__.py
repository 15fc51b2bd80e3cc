"""MMBoundary on the packaged tiny model: arithmetic whose every step says how sure it is."""
