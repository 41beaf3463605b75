"""The command `countersign`: one module per command, imported only when that command runs."""
