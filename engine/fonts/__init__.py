"""The fonts of typed signatures and stamps, and how a text is divided among them: by script, in visual order."""
