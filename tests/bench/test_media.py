from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.watermark import synthetic
from bench.watermark.attacks import ENCODERS, Frames, encode
from bench.watermark.errors import MediaError
from bench.watermark.media import drawn_media, find_media


def test_a_folder_gives_cropped_photographs_and_short_clips(tmp_path: Path, clip: Frames) -> None:
    Image.fromarray(synthetic.scene(90, 120)).save(tmp_path / "b.png")
    (tmp_path / "a.mp4").write_bytes(encode(clip, ENCODERS["h264"], crf="30"))
    (tmp_path / "notes.txt").write_text("not a medium")
    movie, photo = find_media(tmp_path, side=64, frames=5, height=64)
    assert (movie.kind, movie.load().shape) == ("video", (5, 64, 80, 3))
    assert (photo.kind, photo.load().shape) == ("image", (1, 64, 64, 3))
    assert np.array_equal(photo.load()[0], np.asarray(Image.open(tmp_path / "b.png"))[13:77, 28:92])


def test_unusable_folders_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="not a folder"):
        find_media(tmp_path / "missing", side=64, frames=5, height=None)
    with pytest.raises(MediaError, match="no photographs"):
        find_media(tmp_path, side=64, frames=5, height=None)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    for medium in find_media(tmp_path, side=64, frames=5, height=None):
        with pytest.raises(MediaError, match="readable"):
            medium.load()


def test_drawn_pictures_are_what_they_are_called() -> None:
    drawn = {
        medium.name.removeprefix("drawn "): medium.load()
        for medium in drawn_media(side=96, frames=3, height=96)
    }
    assert drawn["pan"].shape == (3, 96, 170, 3)
    assert drawn["night"].mean() < 40 < 150 < drawn["fog"].mean()
    assert drawn["fog"].std() < 20
    assert len(np.unique(drawn["cartoon"].reshape(-1, 3), axis=0)) < 800
    assert (drawn["text"] == 255).mean() > 0.6
    assert drawn["sky"][..., 2].mean() > drawn["sky"][..., 0].mean()
    assert drawn["skin"][..., 0].mean() > drawn["skin"][..., 2].mean()
