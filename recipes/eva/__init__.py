"""Self-play curricula."""
