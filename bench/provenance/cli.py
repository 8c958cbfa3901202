"""Command line of the provenance bench."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.provenance import agreement, fuzz, likeness, recovery, registry, speed, tamper


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.provenance", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    tampered = parts.add_parser("tamper", help=tamper.__doc__)
    tampered.add_argument("--count", type=int, default=tamper.COUNT, help="copies")
    agreed = parts.add_parser("agreement", help=agreement.__doc__)
    agreed.add_argument("--corpus", type=Path, required=True, help="folder with index.json and its files")
    fuzzed = parts.add_parser("fuzz", help=fuzz.__doc__)
    fuzzed.add_argument("--count", type=int, default=fuzz.COUNT, help="files")
    recovered = parts.add_parser("recovery", help=recovery.__doc__)
    recovered.add_argument(
        "--count", type=int, default=recovery.COUNT, help="clips, and pictures of each kind"
    )
    alike = parts.add_parser("likeness", help=likeness.__doc__)
    alike.add_argument("--count", type=int, default=likeness.COUNT, help="records")
    fast = parts.add_parser("speed", help=speed.__doc__)
    fast.add_argument("--count", type=int, default=speed.REPEATS, help="repeats")
    fast.add_argument("--big", type=int, default=speed.BIG_BYTES, help="bytes of the big file")
    stored = parts.add_parser("registry", help=registry.__doc__)
    stored.add_argument("--count", type=int, default=registry.COUNT, help="records")
    stored.add_argument("--lookups", type=int, default=registry.LOOKUPS)
    for part in parts.choices.values():
        part.add_argument("--out", type=Path, required=True, help="folder for results; a run goes on there")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one part. Returns 0 when its bar is met, else 1."""
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    met: bool = _PARTS[args.part](args)
    return 0 if met else 1


def _tamper(args: argparse.Namespace) -> bool:
    return bool(tamper.run(args.out, args.count)["made_here"] == 0)


def _agreement(args: argparse.Namespace) -> bool:
    summary = agreement.run(args.out, args.corpus)
    return bool(summary["share"] >= agreement.RECORDED_SHARE and not summary["unexplained"])


def _fuzz(args: argparse.Namespace) -> bool:
    summary = fuzz.run(args.out, args.count)
    memory = summary["parent_rss_mib"]
    return bool(summary["requests"] == 0 and memory["most"] <= memory["after_a_tenth"] + 16)


def _recovery(args: argparse.Namespace) -> bool:
    summary = recovery.run(args.out, args.count)
    enough = 0.99 * args.count
    carried = summary["transplants"].values()
    refuted = all(row["refuted"] >= enough for row in carried)
    return bool(summary["right"] >= enough and summary["wrong"] == 0 and refuted)


def _likeness(args: argparse.Namespace) -> bool:
    summary = likeness.run(args.out, args.count)
    return not any(row["wrong"] for row in summary.values())


def _speed(args: argparse.Namespace) -> bool:
    return speed.met(speed.run(args.out, args.count, args.big))


def _registry(args: argparse.Namespace) -> bool:
    summary = registry.run(args.out, args.count, args.lookups)
    return bool(max(summary["p99_ms"].values()) <= 5)


_PARTS = {
    "tamper": _tamper,
    "agreement": _agreement,
    "fuzz": _fuzz,
    "recovery": _recovery,
    "likeness": _likeness,
    "registry": _registry,
    "speed": _speed,
}
