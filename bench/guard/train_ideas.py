"""Trains the embedded classifier of ideas and finds its operating points.

`python -m bench.guard.train_ideas --data DIR --out guard/ideas.safetensors --log docs/logs/ideas.json`

Texts: the half of the prompt sets that is for tuning, and made-up ones (`bench.guard.synthetic`). Nothing is
read of the other half; `python -m bench.guard --parts ideas` measures there. Operating points come from
three-fold cross-validation on the tuning half, so that no text sets a point with a model that has seen it.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch.nn import functional

from bench.guard.data import benign_texts, held_out, rows_of
from bench.guard.synthetic import harmless, risky
from guard.ideas import BUCKET_BITS, FORMAT, IDEAS, features, pieces
from guard.model import Certainty
from guard.views import read

NAMES = tuple(IDEAS)
# False positives of all ideas together on benign prompts, by certainty.
FALSE_POSITIVES = {Certainty.SURE: 0.0005, Certainty.LIKELY: 0.004, Certainty.POSSIBLE: 0.02}
SYNTHETIC_PER_IDEA, SYNTHETIC_HARMLESS = 700, 3000
I2P_RISKY, I2P_HARMLESS = 50.0, 10.0  # percent of pictures that people found inappropriate
FOLDS, EPOCHS, BATCH, RATE = 3, 8, 64, 0.3
_OPENAI = {
    "H": "hate",
    "H2": "hate",
    "HR": "harassment",
    "V": "violence",
    "V2": "violence",
    "SH": "self-harm",
}
_I2P = {"illegal activity": "illegal"}


@dataclass(frozen=True)
class Example:
    """A text, what it is about, where it comes from, and how much it counts in training."""

    text: str
    ideas: frozenset[str]
    source: str
    weight: float = 1.0

    @property
    def harmless(self) -> bool:
        """True where it is about none of the ideas."""
        return not self.ideas


def examples(folder: Path) -> Iterator[Example]:
    """Yields every labelled text of the prompt sets, both halves."""
    for _, text in benign_texts(folder):
        yield Example(text, frozenset(), "benign")
    for row in rows_of(folder, "mixed_openai_moderation_eval"):
        found = frozenset(_OPENAI[label] for label in row["positive"] if label in _OPENAI)
        if found or not row["positive"]:
            yield Example(str(row["prompt"]), found, "moderation", 2.0 if found else 1.0)
    for row in rows_of(folder, "unsafe_i2p"):
        share, ideas = float(row["inappropriate_pct"]), [_I2P.get(c, c) for c in row["categories"]]
        if share >= I2P_RISKY:
            yield Example(str(row["prompt"]), frozenset(ideas) & set(NAMES), "i2p", 0.25)
        elif share <= I2P_HARMLESS:
            yield Example(str(row["prompt"]), frozenset(), "i2p", 0.5)


def synthetic(seed: int) -> list[Example]:
    """Returns the made-up texts."""
    rng = Random(seed)
    made = [Example(text, frozenset({idea}), "synthetic") for idea, text in risky(SYNTHETIC_PER_IDEA, rng)]
    return made + [Example(t, frozenset(), "synthetic", 0.5) for t in harmless(SYNTHETIC_HARMLESS, rng)]


class Rows:
    """Texts as rows of features, one for each piece; `pieces` are the pieces of each text.

    Of a harmless text every piece is harmless; of a risky one only the whole is known to be risky.
    """

    def __init__(self, found: Sequence[Example]) -> None:
        self.rows: list[torch.Tensor] = []
        self.pieces: list[range] = []
        labels, weights = [], []
        for example in found:
            parts = pieces(read(example.text))
            self.pieces.append(range(len(self.rows), len(self.rows) + len(parts)))
            for number, words in enumerate(parts):
                self.rows.append(torch.from_numpy(features(words)))
                labels.append([float(name in example.ideas) for name in NAMES])
                weights.append(example.weight * (number == 0 or example.harmless) / (1 + (number > 0)))
        self.labels, self.weights = torch.tensor(labels), torch.tensor(weights)

    def training(self, picks: Sequence[int]) -> list[int]:
        """Returns the pieces of the picked texts that training learns from."""
        return [piece for i in picks for piece in self.pieces[i] if self.weights[piece] > 0]

    def bag(self, picks: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns features, where each text begins, and one over the root of its number of features."""
        sizes = torch.tensor([len(self.rows[i]) for i in picks])
        offsets = torch.cumsum(sizes, 0) - sizes
        return torch.cat([self.rows[i] for i in picks]), offsets, sizes.clamp(min=1).float().rsqrt()


class Model(torch.nn.Module):
    """One row of weights for each feature; the scores are their sum, scaled, and a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.EmbeddingBag(1 << BUCKET_BITS, len(NAMES), mode="sum")
        torch.nn.init.zeros_(self.table.weight)
        self.bias = torch.nn.Parameter(torch.full((len(NAMES),), -3.0))

    def forward(self, rows: torch.Tensor, offsets: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Returns log-odds [texts, ideas]."""
        bags: torch.Tensor = self.table(rows, offsets)
        return bags * scale[:, None] + self.bias


def train(data: Rows, picks: Sequence[int], seed: int) -> tuple[Model, list[float]]:
    """Returns a model trained on the picked texts, and the loss after each epoch."""
    torch.manual_seed(seed)
    model, order, losses = Model(), data.training(picks), []
    optimiser = torch.optim.Adagrad(model.parameters(), lr=RATE)
    rng = Random(seed)
    for _ in range(EPOCHS):
        rng.shuffle(order)
        total = 0.0
        for at in range(0, len(order), BATCH):
            batch = order[at : at + BATCH]
            scores = model(*data.bag(batch))
            loss = functional.binary_cross_entropy_with_logits(scores, data.labels[batch], reduction="none")
            mean = (loss.sum(1) * data.weights[batch]).mean()
            optimiser.zero_grad()
            mean.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += float(mean.detach()) * len(batch)
        losses.append(total / len(order))
    return model, losses


@torch.inference_mode()
def scores_of(model: Model, data: Rows, picks: Sequence[int]) -> NDArray[np.float32]:
    """Returns log-odds [texts, ideas] of the picked texts, the largest over their pieces."""
    found = [model(*data.bag(data.pieces[i])).max(0).values.numpy() for i in picks if len(data.pieces[i])]
    return np.array(found, np.float32)


def operating_points(scores: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """Returns the thresholds of each idea from the scores of harmless texts, never seen in training.

    Every idea gets the same share of false positives; the share is the largest with which all ideas together
    stay within `FALSE_POSITIVES`.
    """
    points: dict[str, dict[str, float]] = {name: {} for name in NAMES}
    ordered = np.sort(scores, axis=0)[::-1]
    for certainty, most in FALSE_POSITIVES.items():
        chosen = ordered[0] + 0.5
        for rank in range(1, len(scores)):
            limits = (ordered[rank - 1] + ordered[rank]) / 2
            if np.mean((scores >= limits).any(1)) > most:
                break
            chosen = limits
        for name, limit in zip(NAMES, chosen.tolist(), strict=True):
            points[name][certainty.value] = round(float(limit), 4)
    return points


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, finds operating points, writes weights and log."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard.train_ideas", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    started = time.process_time()
    found = [e for e in examples(arguments.data) if not held_out(e.text)] + synthetic(arguments.seed)
    data = Rows(found)
    made = [i for i, e in enumerate(found) if e.source == "synthetic"]
    real = [i for i, e in enumerate(found) if e.source != "synthetic"]
    parts = {i: sha256(found[i].text.encode()).digest()[1] % FOLDS for i in real}
    folds = [[i for i in real if parts[i] == number] for number in range(FOLDS)]
    harmless_scores, curves = [], []
    for number, fold in enumerate(folds):
        model, losses = train(data, made + sorted(set(real) - set(fold)), arguments.seed)
        calm = [i for i in fold if found[i].source == "benign"]
        harmless_scores.append(scores_of(model, data, calm))
        curves.append(losses)
        print(f"fold {number + 1} of {FOLDS}: {len(calm)} harmless texts, loss {losses[-1]:.4f}", flush=True)
    points = operating_points(np.concatenate(harmless_scores))
    model, losses = train(data, made + real, arguments.seed)
    _save(model, points, arguments.out)
    log = {
        "seed": arguments.seed, "texts": len(found), "made_up": len(made), "points": points,
        "losses": losses, "losses_of_folds": curves, "seconds": round(time.process_time() - started, 1),
        "sha256": sha256(arguments.out.read_bytes()).hexdigest(),
    }  # fmt: skip
    if arguments.log:
        arguments.log.write_text(json.dumps(log, indent=1) + "\n", "utf-8")
    print(json.dumps({key: log[key] for key in ("texts", "points", "seconds", "sha256")}))
    return 0


def _save(model: Model, points: dict[str, dict[str, float]], path: Path) -> None:
    weights = model.table.weight.detach().numpy().astype(np.float16)
    metadata = {"format": FORMAT, "ideas": json.dumps(NAMES), "points": json.dumps(points)}
    save_file({"weights": weights, "bias": model.bias.detach().numpy()}, path, metadata)


if __name__ == "__main__":
    raise SystemExit(main())
