"""How many workers the queue needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Between `least` and `most` workers, one for each `jobs_per_worker` jobs that wait or run; one that had
    nothing to do for `idle` seconds may go."""

    least: int
    most: int
    jobs_per_worker: int = 1
    idle: float = 60.0

    @classmethod
    def of(cls, settings: Settings) -> Scale:
        """What the settings say; without `ray_max_workers` the number is fixed."""
        return cls(
            least=settings.workers,
            most=max(settings.workers, settings.ray_max_workers),
            jobs_per_worker=settings.ray_jobs_per_worker,
            idle=settings.ray_idle_seconds,
        )

    def wanted(self, open_jobs: int) -> int:
        """Workers for so many jobs that wait or run."""
        return min(self.most, max(self.least, math.ceil(open_jobs / self.jobs_per_worker)))
