"""The command `countersign`: one module per subcommand."""
