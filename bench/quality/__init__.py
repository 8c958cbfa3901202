"""How often quality control accuses good clips, and how many planted defects it misses."""
