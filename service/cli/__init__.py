"""The `assay` command. `--version` answers before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. Exit codes: 0 evidence found or done, 1 no evidence, 2 bad input or configuration."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        print(f"assay {version('assay')}")
        return
    from service.cli.app import run

    sys.exit(run(sys.argv[1:]))
