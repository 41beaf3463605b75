"""Benchmarks: ratios with targets, medians of interleaved runs; absolute figures are reported, never asserted."""
