"""Robustness bench of the watermark: attacks as data, blind detection, null trials, security, peers, report.

`python -m bench.watermark --media DIR --out DIR [--quick]`
"""

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench with command-line arguments; see `python -m bench.watermark --help`."""
    from bench.watermark.cli import main as run

    return run(argv)
