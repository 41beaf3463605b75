"""Pure rules of law: facts in, Passed or Failed with the legal source out. Must never do I/O.

The rules arrive with the evidence and compliance piece; the layer and its import contract stand already.
"""
