"""How the sound mark holds up: `python -m bench.audio`."""
