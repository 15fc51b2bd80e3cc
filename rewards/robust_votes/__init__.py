"""Rewards that do not trust the majority blindly: selective, weighted, negative and soft labels."""
