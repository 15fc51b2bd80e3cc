"""Votes that are often wrong: problems, and a start that has wrong habits."""
