"""Settings, stores, vault, logging and clock: the only layer that reads the environment."""
