"""``make demo``: the main job on loopback, from an empty data folder to a report to look at."""
