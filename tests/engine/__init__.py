"""The signing engine, part by part."""
