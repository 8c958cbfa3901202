"""Which released media look like this? An approximate search over perceptual hashes (usearch, HNSW).

The table is the truth and the index a copy of it in memory: rows that were added since the last question are
read first, and what was deleted or revoked is dropped from the answer by the look-up in the table.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from usearch.compiled import MetricKind, ScalarKind
from usearch.index import Index

from provenance.fingerprint import MAX_PDQ_DISTANCE, PDQ_BYTES
from service.store.database import Database
from service.store.tables import fingerprints, records
from watermark import MediaId

BATCH = 100_000
"""Rows read into the index at a time: 3 MB of hashes."""
PER_HASH = 16
"""Neighbours asked for per hash: a medium has several scenes, and several media may share one."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A released medium and how far its nearest scene is: 0 to 31 of 256 bits. `label` is its manifest."""

    media_id: MediaId
    distance: int
    label: str | None

    @property
    def score(self) -> int:
        """100 for the same hash, 0 at the farthest that counts."""
        return round(100 * (1 - self.distance / (MAX_PDQ_DISTANCE + 1)))


class SimilarMedia:
    """The index of one process, filled at the first question."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._last = 0
        self._index = Index(ndim=8 * PDQ_BYTES, metric=MetricKind.Hamming, dtype=ScalarKind.B1)

    def search(self, hashes: Sequence[bytes], most: int) -> list[Likeness]:
        """Up to `most` media within 31 bits of one of `hashes` (PDQ, 32 bytes each), nearest first."""
        if not hashes:
            return []
        with self._lock:
            self._refresh()
            if len(self._index) == 0:
                return []
            asked = _rows(hashes)
            found = self._index.search(asked, min(PER_HASH, len(self._index)))
            keys, distances = np.ravel(found.keys), np.ravel(found.distances)
        nearest: dict[int, int] = {}
        for key, distance in zip(keys.tolist(), distances.tolist(), strict=True):
            if distance <= MAX_PDQ_DISTANCE:
                nearest[key] = min(int(distance), nearest.get(key, PDQ_BYTES * 8))
        return self._media(nearest)[:most]

    def _refresh(self) -> None:
        query = select(fingerprints.c.id, fingerprints.c.pdq).order_by(fingerprints.c.id).limit(BATCH)
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query.where(fingerprints.c.id > self._last)).all()
            if not rows:
                return
            self._index.add(np.array([row.id for row in rows], np.uint64), _rows([row.pdq for row in rows]))
            self._last = rows[-1].id

    def _media(self, nearest: dict[int, int]) -> list[Likeness]:
        query = (
            select(fingerprints.c.id, records.c.media_id, records.c.manifest_label)
            .join(records, records.c.media_id == fingerprints.c.media_id)
            .where(fingerprints.c.id.in_(nearest), records.c.revoked_at.is_(None))
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        best: dict[int, Likeness] = {}
        for row in rows:
            known = best.get(row.media_id)
            if known is None or nearest[row.id] < known.distance:
                best[row.media_id] = Likeness(MediaId(row.media_id), nearest[row.id], row.manifest_label)
        return sorted(best.values(), key=lambda one: (one.distance, one.media_id.value))


def _rows(hashes: Sequence[bytes]) -> NDArray[np.uint8]:
    """[N, 32] bytes."""
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, PDQ_BYTES)
