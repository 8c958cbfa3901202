from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from skimage import data

from tests.generator.hosted.provider import Provider, running
from watermark import write_video


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running() as at:
        yield at


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a provider makes: a short clip without credentials."""
    path = tmp_path_factory.mktemp("made") / "made.mp4"
    picture = data.coffee()
    frames = [np.ascontiguousarray(picture[60:316, 3 * i : 3 * i + 256]) for i in range(8)]
    write_video(path, frames, fps=12)
    return path.read_bytes()
