"""Faults injected into real processes, and the oracle that says nothing was lost or doubled."""
