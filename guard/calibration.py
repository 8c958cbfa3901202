"""How similar two faces must be so that strangers are rarely taken for somebody, in a gallery of any size.

With N enrolled templates and a false match rate f per comparison, a stranger matches with probability
1 - (1 - f)^N: the rate that a policy names is of uploads, and f follows. The similarity for f comes from
measured comparisons of different people; below one in their number, from a generalised Pareto tail (Coles
2001, section 4) fitted to the largest ones, within a stated reach.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from math import expm1, log1p

import numpy as np
from numpy.typing import NDArray

from guard.errors import BackendError

FORMAT = "assay face calibration 1"
TAIL_SHARE = 0.02  # of the comparisons that the tail is fitted to
MIN_TAIL = 200  # comparisons in the tail
MAX_REACH = 1000  # how many times rarer than 1 in the number of comparisons a rate may be


@dataclass(frozen=True)
class Calibration:
    """Measured similarities of different people under one model.

    `comparisons` is how many were measured; `largest` are the largest of them, float64, in descending order.
    """

    model_id: str
    comparisons: int
    largest: NDArray[np.float64]

    @staticmethod
    def measure(model_id: str, similarities: NDArray[np.floating]) -> Calibration:
        """Returns the calibration of cosine similarities between templates of different people."""
        ordered = np.sort(np.asarray(similarities, np.float64))[::-1]
        keep = max(MIN_TAIL, int(TAIL_SHARE * len(ordered)))
        if len(ordered) < keep:
            raise BackendError(f"a calibration needs at least {MIN_TAIL} comparisons, not {len(ordered)}")
        return Calibration(model_id, len(ordered), ordered[:keep])

    def threshold(self, wrong_person_at_most: float, *, comparisons: int) -> float:
        """Returns the similarity at which a picture of strangers matches anybody at most that often.

        `comparisons` is the number of enrolled templates times the faces in the picture. Raises
        `BackendError` where the measured comparisons cannot support the rate.
        """
        if not 0 < wrong_person_at_most < 1 or comparisons < 1:
            raise BackendError("the rate must be between 0 and 1, and there must be something to compare")
        rate = -expm1(log1p(-wrong_person_at_most) / comparisons)
        if rate * self.comparisons * MAX_REACH < 1:
            most = 1 / (self.comparisons * MAX_REACH)
            raise BackendError(
                f"1 wrong person in {1 / wrong_person_at_most:,.0f} uploads with {comparisons:,} comparisons "
                f"needs a rate of {rate:.1e}; this calibration supports {most:.1e}: measure more people"
            )
        rank = rate * self.comparisons
        if rank >= 3:  # rule of three: below, the measured quantile says little
            place = int(rank) - 1
            if place >= len(self.largest):
                return float(self.largest[-1])  # stricter than asked
            return float(np.nextafter(self.largest[place], 2.0))
        return self._beyond(rate)

    def _beyond(self, rate: float) -> float:
        """Returns the similarity that is exceeded with probability `rate`, from the fitted tail."""
        from scipy.stats import genpareto  # imported late: it takes half a second

        floor = float(self.largest[-1])
        shape, scale = self._tail
        share = len(self.largest) / self.comparisons
        found = max(floor + float(genpareto.isf(rate / share, shape, scale=scale)), float(self.largest[0]))
        if found >= 1.0:  # nothing would ever match, and nobody would know
            raise BackendError(
                f"by this calibration nothing is sure enough for a rate of {rate:.1e}: measure more "
                "people, or allow more mistakes"
            )
        return found

    @cached_property
    def _tail(self) -> tuple[float, float]:
        """Shape and scale of the fitted tail."""
        from scipy.stats import genpareto

        shape, _, scale = genpareto.fit(self.largest - self.largest[-1], floc=0.0)
        # A negative shape bounds the tail, and would promise that nothing is more similar: not relied on.
        return max(float(shape), 0.0), float(scale)

    def to_json(self) -> str:
        """Returns the calibration as a file."""
        row = {"format": FORMAT, "model": self.model_id, "comparisons": self.comparisons}
        return json.dumps({**row, "largest": [round(float(value), 6) for value in self.largest]})

    @staticmethod
    def from_json(text: str) -> Calibration:
        """Reads the file. Raises `BackendError` where it is not one."""
        try:
            row = json.loads(text)
            largest = np.sort(np.array(row["largest"], np.float64))[::-1]
            found = Calibration(str(row["model"]), int(row["comparisons"]), largest)
            if row["format"] != FORMAT or not MIN_TAIL <= len(largest) <= found.comparisons:
                raise ValueError("another format, or too few comparisons")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BackendError(f"not a face calibration: {error}") from error
        return found
