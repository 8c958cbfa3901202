"""Measures what provenance promises: tampering seen, manifests recovered, readers in agreement, look-ups in
time.

`python -m bench.provenance PART --out FOLDER`; a run that was stopped goes on where it was.
"""
