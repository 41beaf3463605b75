"""The tests of Countersign: sentences as names, real servers below."""
