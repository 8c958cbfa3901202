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
    # Read when torch is loaded. Waiting threads that spin cost three times the work itself on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from service.cli.app import run

    sys.exit(run(sys.argv[1:]))
