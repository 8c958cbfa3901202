"""How the sound mark holds up: `python -m bench.audio`."""

import os

# Threads that wait for each other over matrices this small cost a trial six times its time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
