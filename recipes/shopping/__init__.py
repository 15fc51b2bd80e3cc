"""Shop-R1 on a tiny model and procedural shopping sessions."""
