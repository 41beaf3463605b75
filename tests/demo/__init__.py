"""The demo: the main job from end to end, as a stranger runs it."""
