"""The `assay` command. `--version` answers before anything heavy is imported."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point. Exit codes: 0 evidence found or done, 1 no evidence, 2 bad input or configuration."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        print(f"assay {version('assay')}")
        return
    # Read when torch and NumPy are loaded. On a busy machine, threads that wait by spinning cost three times
    # the work itself.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from service.startup import starting

    starting()
    from service.cli.app import run

    sys.exit(run(sys.argv[1:]))
