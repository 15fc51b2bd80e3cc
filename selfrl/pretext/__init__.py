"""Data sets of pretext tasks, built from pictures or a graph."""
