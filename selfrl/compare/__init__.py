"""Several arms from one start, over seeds: runs, table and plot."""
