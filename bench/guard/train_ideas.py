"""Trains the embedded classifier of ideas and finds its operating points.

`python -m bench.guard.train_ideas --data DIR --out guard/ideas.safetensors --log docs/logs/ideas.json`

Two linear models over the same features, both fitted by L-BFGS: one says whether a text is risky at all
(logistic regression), one which ideas a risky text is about (multinomial). Features are weighted by how rare
they are (idf, folded into the weights), so that rare words outweigh common runs of letters.

Texts: the half of the prompt sets that is for tuning, and made-up ones (`bench.guard.idea_texts`). Nothing is
read of the other half; `python -m bench.guard --parts ideas` measures there. Operating points come from
three-fold cross-validation on the tuning half, so that no text sets a point with a model that has seen it.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.optimize import minimize
from scipy.sparse import csr_array, diags_array
from scipy.special import log_softmax, softmax

from bench.guard.data import held_out
from bench.guard.idea_texts import NAMES, Example, dressed, examples, synthetic
from guard.ideas import BUCKET_BITS, FORMAT, features, pieces
from guard.model import Certainty
from guard.views import read

# False positives on harmless prompts, plain and dressed up, by certainty.
FALSE_POSITIVES = {Certainty.SURE: 0.001, Certainty.LIKELY: 0.0045, Certainty.POSSIBLE: 0.02}
CALIBRATED_ON = ("benign", "benign, dressed up", "benign, by artists")
FOLDS, ITERATIONS, RIDGE, RISKY_WEIGHT = 3, 30, 3e-5, 5.0
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """Weights float64 [buckets, outputs] and bias float64 [outputs]."""

    weights: Vector
    bias: Vector

    def scores(self, rows: csr_array) -> Vector:
        """Returns scores [texts, outputs]."""
        return np.asarray(rows @ self.weights + self.bias)


class Rows:
    """Texts as rows of features, one for each piece.

    Of a harmless text every piece is harmless; of a risky one only the whole is known to be risky.
    """

    def __init__(self, found: Sequence[Example]) -> None:
        rows: list[NDArray[np.int64]] = []
        owners: list[int] = []
        weights: list[float] = []
        for number, example in enumerate(found):
            for place, words in enumerate(pieces(read(example.text))):
                rows.append(features(words))
                owners.append(number)
                weights.append(example.weight * (place == 0 or example.harmless) / (1 + (place > 0)))
        sizes = np.array([len(row) for row in rows])
        values = np.repeat(1 / np.sqrt(sizes), sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.matrix = csr_array((values, np.concatenate(rows), starts), shape=(len(rows), 1 << BUCKET_BITS))
        self.owners, self.weights = np.array(owners), np.array(weights)
        self.ideas = np.array([[float(name in found[n].ideas) for name in NAMES] for n in owners])
        self.risky: NDArray[np.bool_] = np.asarray(self.ideas.any(1), np.bool_)

    def rarity(self, picked: NDArray[np.bool_]) -> Vector:
        """Returns the inverse document frequency of each feature among the picked rows, 1 on average."""
        counts = np.bincount(self.matrix[picked].indices, minlength=1 << BUCKET_BITS)
        rarity = np.log((1 + picked.sum()) / (1 + counts))
        return np.asarray(rarity / rarity[counts > 0].mean())


def fit_gate(data: Rows, picked: NDArray[np.bool_]) -> Linear:
    """Returns the model that says whether a piece is risky at all."""
    use = picked & (data.weights > 0)
    rarity = data.rarity(use)
    rows = csr_array(data.matrix[use] @ diags_array(rarity))
    signs = np.where(data.risky[use], 1.0, -1.0)
    weights = data.weights[use] * np.where(signs > 0, RISKY_WEIGHT, 1.0)
    weights /= weights.sum()

    def loss(point: Vector) -> tuple[float, Vector]:
        margins = signs * (rows @ point[:-1] + point[-1])
        slopes = -signs * weights / (1 + np.exp(margins))
        value = (weights * np.logaddexp(0, -margins)).sum() + RIDGE / 2 * (point[:-1] @ point[:-1])
        return float(value), np.append(rows.T @ slopes + RIDGE * point[:-1], slopes.sum())

    point = _minimise(loss, rows.shape[1] + 1)
    return Linear((point[:-1] * rarity)[:, None], point[-1:])


def fit_kinds(data: Rows, picked: NDArray[np.bool_]) -> Linear:
    """Returns the model that says which ideas a risky piece is about."""
    use = picked & (data.weights > 0) & data.risky
    rarity = data.rarity(use)
    rows = csr_array(data.matrix[use] @ diags_array(rarity))
    wanted = data.ideas[use] / data.ideas[use].sum(1, keepdims=True)
    weights = (data.weights[use] / data.weights[use].sum())[:, None]
    shape = rows.shape[1] + 1, len(NAMES)

    def loss(flat: Vector) -> tuple[float, Vector]:
        point = flat.reshape(shape)
        scores = rows @ point[:-1] + point[-1]
        slopes = weights * (softmax(scores, axis=1) - wanted)
        value = -(weights * wanted * log_softmax(scores, axis=1)).sum() + RIDGE / 2 * (point[:-1] ** 2).sum()
        return float(value), np.vstack([rows.T @ slopes + RIDGE * point[:-1], slopes.sum(0)]).ravel()

    point = _minimise(loss, shape[0] * shape[1]).reshape(shape)
    return Linear(point[:-1] * rarity[:, None], point[-1])


def _minimise(loss: object, size: int) -> Vector:
    found = minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return np.asarray(found.x)


def largest(scores: Vector, owners: NDArray[np.int64], count: int) -> Vector:
    """Returns the largest score over the pieces of each text [count]; -inf for texts without words."""
    best = np.full(count, -np.inf)
    np.maximum.at(best, owners, scores)
    return best


def operating_points(harmless: Vector) -> dict[str, float]:
    """Returns the score from which a text is risky, by certainty, from scores of harmless texts, never seen
    in training."""
    ordered = np.sort(harmless)[::-1]
    return {
        c.value: round(float(ordered[int(s * len(ordered))]) + 1e-4, 4) for c, s in FALSE_POSITIVES.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, finds operating points, writes weights and log."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard.train_ideas", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    started = time.process_time()
    rng = Random(arguments.seed)
    found = [e for e in examples(arguments.data) if not held_out(e.text)]
    found += [*dressed(arguments.data, lambda text: not held_out(text), rng), *synthetic(rng)]
    data = Rows(found)
    folds = np.array([_fold(example) for example in found])
    scores = np.full(len(found), np.nan)
    for fold in range(FOLDS):
        left_out = folds[data.owners] == fold
        model = fit_gate(data, ~left_out)
        best = largest(model.scores(data.matrix)[:, 0], data.owners, len(found))
        scores[folds == fold] = best[folds == fold]
        print(f"fold {fold + 1} of {FOLDS}", flush=True)
    points = operating_points(scores[[e.source in CALIBRATED_ON for e in found]])
    everything = np.ones(len(data.owners), bool)
    _save(fit_gate(data, everything), fit_kinds(data, everything), points, arguments.out)
    log = {
        "seed": arguments.seed, "texts": len(found), "points": points,
        "seen_in_cross_validation": _shares(found, scores, points[Certainty.LIKELY.value]),
        "seconds": round(time.process_time() - started, 1),
        "sha256": sha256(arguments.out.read_bytes()).hexdigest(),
    }  # fmt: skip
    if arguments.log:
        arguments.log.write_text(json.dumps(log, indent=1) + "\n", "utf-8")
    print(json.dumps(log, indent=1))
    return 0


def _fold(example: Example) -> int:
    """Returns which part a text is left out with; made-up texts are always trained on."""
    return -1 if example.source == "made up" else sha256(example.key.encode()).digest()[1] % FOLDS


def _shares(found: Sequence[Example], scores: Vector, point: float) -> dict[str, float]:
    """Returns the share seen at `likely`, by source, of risky and of harmless texts."""
    seen: dict[str, list[bool]] = {}
    for example, score in zip(found, scores.tolist(), strict=True):
        if not np.isnan(score):
            kind = "harmless" if example.harmless else "risky"
            seen.setdefault(f"{example.source}, {kind}", []).append(score >= point)
    return {name: round(float(np.mean(flags)), 4) for name, flags in seen.items()}


def _save(gate: Linear, kinds: Linear, points: dict[str, float], path: Path) -> None:
    weights = np.hstack([gate.weights, kinds.weights]).astype(np.float16)
    bias = np.concatenate([gate.bias, kinds.bias]).astype(np.float32)
    metadata = {"format": FORMAT, "ideas": json.dumps(NAMES), "points": json.dumps(points)}
    save_file({"weights": weights, "bias": bias}, path, metadata)


if __name__ == "__main__":
    raise SystemExit(main())
