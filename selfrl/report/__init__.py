"""One page of one or several runs: curves, alarms, label histories, comparisons and completions."""
