"""Self-supervised vision tasks as rewards (SSL4RL, 2510.16416)."""
