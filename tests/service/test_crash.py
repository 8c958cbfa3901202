"""kill -9 in the middle: the job is finished after it, exactly once."""

import os
import signal
import time
from pathlib import Path

import httpx
import openai
import pytest
from openai.types import Video
from sqlalchemy import func, select

from service.store.database import open_database
from service.store.tables import jobs, records
from tests.service.server import Server, running

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
PROMPT = "a boat on a calm sea at noon"
STEPS = 4
"""Enough for the job to be in the middle when it is killed."""


def wait_for_progress(client: openai.OpenAI, video_id: str) -> Video:
    for _ in range(1200):
        video = client.videos.retrieve(video_id)
        if video.progress > 0 or video.status in ("completed", "failed"):
            return video
        time.sleep(0.05)
    raise AssertionError("the job never started")


def outputs(server: Server, video_id: str) -> tuple[int, int, list[str]]:
    """Records, attempts and files of a job."""
    database = open_database(f"sqlite:///{server.home}/assay.db")
    with database.reading() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == video_id)).one()
        count = connection.scalar(
            select(func.count()).select_from(records).where(records.c.media_id == row.media_id)
        )
    database.close()
    files = [path.name for path in (server.home / "media" / video_id).rglob("*") if path.is_file()]
    return count or 0, row.attempts, files


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_service_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "home", {"ASSAY_STEPS": str(STEPS)}) as server:
        client = server.openai()
        first = client.videos.create(prompt=PROMPT)
        assert wait_for_progress(client, first.id).status == "in_progress"
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        second = client.videos.create(prompt=PROMPT)
        done = client.videos.poll(first.id, poll_interval_ms=200)
        assert done.status == "completed", server.log
        count, attempts, files = outputs(server, first.id)
        assert (count, attempts, len(files)) == (1, 2, 1)

        assert wait_for_progress(client, second.id).status == "in_progress"
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        server.start(until="/healthz")
        done = client.videos.poll(second.id, poll_interval_ms=200)
        assert done.status == "completed", server.log
        count, attempts, files = outputs(server, second.id)
        assert (count, len(files)) == (1, 1)
        data = client.videos.download_content(second.id).read()
        report = httpx.post(f"{server.url}/v1/verify", content=data, timeout=60).json()
        assert report["verdict"] == "made_here"

        third = client.videos.create(prompt=PROMPT)
        assert wait_for_progress(client, third.id).status == "in_progress"
        assert server.stop() == 0  # in good order: the job is given back and has cost no attempt
        assert outputs(server, third.id)[:2] == (0, 0)
