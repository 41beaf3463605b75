"""The signing pages over HTTP: thin controllers between a browser and the engine's ceremony."""
