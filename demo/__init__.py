"""``make demo``: the main job end to end on loopback, from an empty data folder to a report that can be looked at."""
