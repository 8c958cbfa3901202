"""A service whose worker makes a small file in a moment: everything is real but the model.

`python -m bench.service.stub serve`, `... worker NAME` and `... fleet NAME`; settings come from the
environment.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time

from generator import Cancelled
from generator.stages import CancelRequested, Progress
from provenance import Record
from service import worker
from service.cluster import fleet
from service.jobs import Lease
from service.production import Producer
from service.serve import serve
from service.settings import Settings
from service.store.patience import patiently
from service.wiring import Services

STEPS, STEP_SECONDS = 8, 0.04
WORKER = (sys.executable, "-m", "bench.service.stub", "worker")
FLEET = (sys.executable, "-m", "bench.service.stub", "fleet")


class StubProducer(Producer):
    """Writes the job's id into a file and publishes it as a clip: the same order of writes, no model."""

    __slots__ = ()

    def produce(self, lease: Lease, *, progress: Progress, cancelled: CancelRequested) -> None:
        for step in range(STEPS):
            if cancelled():
                raise Cancelled(lease.job.id)
            time.sleep(STEP_SECONDS)
            progress("sample", (step + 1) / STEPS)
        job, media = lease.job, self.services.media
        path = media.workspace(job.id, lease.fence) / f"{job.medium.hex}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{job.id} {lease.fence}")
        name = media.name(job.id, lease.fence, path)
        media.keep(path, name)
        patiently(lambda: self.services.jobs.publish(lease, self._record(lease), self._result(lease, name)))

    def _record(self, lease: Lease) -> Record:
        return Record(
            media_id=lease.job.medium,
            key_id="0.0",
            manifest_label=f"urn:c2pa:{lease.job.id}",
            manifest=b"stub",
            fingerprint=None,
            created_at=self.services.clock(),
            tenant=lease.job.tenant,
            digests={},
        )

    def _result(self, lease: Lease, name: str) -> dict[str, object]:
        digest = hashlib.sha256(f"{lease.job.id} {lease.fence}".encode()).hexdigest()
        provenance = {"media_id": lease.job.medium.hex, "manifest": None, "sha256": digest}
        return {"file": name, "mime": "video/mp4", "bytes": 1, "provenance": provenance}


def load(services: Services) -> Producer:
    """What the stub's workers make jobs with."""
    return StubProducer(services, None)  # type: ignore[arg-type]


def main() -> int:
    """Entry of all processes."""
    if sys.argv[1] == "serve":
        serve(Settings.from_env(os.environ), os.environ, worker=WORKER, fleet=FLEET)
        return 0
    return fleet.main(load) if sys.argv.pop(1) == "fleet" else worker.main(load)


if __name__ == "__main__":
    sys.exit(main())
