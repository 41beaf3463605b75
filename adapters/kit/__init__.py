"""What every provider shares: the port, the executor behind it, and the registry that finds the folders."""
