"""Bench of the guard: recall of names under disguise, false hits, speed at scale.

`python -m bench.guard --out DIR [--data DIR]`
"""
