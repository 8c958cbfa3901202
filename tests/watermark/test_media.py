from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.watermark.conftest import Frame
from watermark import MediaError, MediaKind, MediaLimits, open_media, write_image, write_video
from watermark.priority import usual_priority


@pytest.fixture(scope="session")
def short_clip() -> Frame:
    ramp = np.arange(256, dtype=np.uint8).repeat(2)[None, None, :, None]
    return np.ascontiguousarray(np.broadcast_to(ramp, (10, 96, 512, 3)))


@pytest.fixture
def mp4(tmp_path: Path, short_clip: Frame) -> Path:
    path = tmp_path / "clip.mp4"
    assert write_video(path, short_clip, fps=24, metadata={"comment": "a test"}) == 10
    return path


def test_a_grey_ramp_comes_back_without_bias(mp4: Path, short_clip: Frame) -> None:
    media = open_media(mp4)
    assert (media.kind, media.mime, media.width, media.height) == (MediaKind.VIDEO, "video/mp4", 512, 96)
    assert (media.fps, media.frame_count) == (24, 10)
    assert media.seconds == pytest.approx(10 / 24)
    frames = np.stack(list(media.frames()))
    assert frames.shape == short_clip.shape
    assert abs(float(frames.astype(float).mean() - short_clip.astype(float).mean())) < 0.2
    assert len(list(media.frames(stride=4))) == 3


def test_frames_that_need_not_be_exact_are_a_grey_level_darker(tmp_path: Path) -> None:
    picture = np.ascontiguousarray(data.astronaut()[:256, :384])
    for pixels, most in (("yuv420p", 1.5), ("yuv420p10le", 0.0), ("yuv444p", 0.0)):
        write_video(tmp_path / "c.mp4", [picture] * 3, fps=24, pixels=pixels)
        media = open_media(tmp_path / "c.mp4")
        exact = np.stack(list(media.frames())).astype(float)
        rough = np.stack(list(media.frames(exact=False))).astype(float)
        assert exact.shape == rough.shape
        assert 0 <= exact.mean() - rough.mean() <= most
        assert np.sqrt(np.mean(np.square(rough - exact))) <= 2 * most


def test_clips_are_tagged_as_bt709_and_start_fast(mp4: Path) -> None:
    with av.open(str(mp4)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        assert tags == (1, 1, 1, 1)
        assert container.metadata["comment"] == "a test"
    assert mp4.read_bytes().index(b"moov") < mp4.read_bytes().index(b"mdat")


def test_colours_come_back(tmp_path: Path) -> None:
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [220, 220, 30]], np.uint8)
    frame = np.repeat(np.repeat(colours[None], 64, axis=0), 64, axis=1)
    write_video(
        tmp_path / "c.webm", [frame] * 3, fps=Fraction(30000, 1001), codec="libvpx-vp9", preset="", crf=10
    )
    media = open_media(tmp_path / "c.webm")
    assert media.mime == "video/webm"
    assert np.abs(next(media.frames()).astype(int) - frame)[:, 20:44].max() <= 4


def test_odd_sizes_grow_by_a_repeated_edge(tmp_path: Path) -> None:
    write_video(tmp_path / "odd.mp4", [np.full((65, 67, 3), 100, np.uint8)], fps=1)
    assert (open_media(tmp_path / "odd.mp4").width, open_media(tmp_path / "odd.mp4").height) == (68, 66)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_pictures_round_trip(suffix: str, tmp_path: Path, photo: Frame) -> None:
    path = tmp_path / f"p{suffix}"
    write_image(path, photo)
    media = open_media(path)
    (frame,) = media.frames()
    assert (media.kind, media.fps, media.frame_count) == (MediaKind.IMAGE, 0, 1)
    assert np.abs(frame.astype(int) - photo).mean() < (0.01 if suffix == ".png" else 3)


def test_orientation_is_applied(tmp_path: Path, photo: Frame) -> None:
    picture = Image.fromarray(photo[:200])
    exif = picture.getexif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    picture.save(tmp_path / "t.png", exif=exif)
    media = open_media(tmp_path / "t.png")
    assert (media.width, media.height) == (200, 512)
    assert np.array_equal(next(media.frames()), np.rot90(photo[:200], -1))


def test_alpha_is_laid_on_white_and_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert next(open_media(tmp_path / "a.png").frames()).min() == 255
    Image.fromarray(np.full((32, 32), 65535 // 2, np.uint16)).save(tmp_path / "d.png")
    assert set(next(open_media(tmp_path / "d.png").frames()).ravel()) == {127}


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animated_pictures_are_clips(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), (40 * i, 0, 0)) for i in range(5)]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=200, lossless=True)
    media = open_media(path)
    assert (media.kind, media.frame_count) == (MediaKind.VIDEO, 5)
    assert media.seconds == pytest.approx(1)
    reds = [int(frame[0, 0, 0]) for frame in media.frames()]
    assert reds == pytest.approx([0, 40, 80, 120, 160], abs=6)
    assert len(list(media.frames(stride=2))) == 3


def _png(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _spoiled_avif() -> bytes:
    """An AVIF whose picture data are noise behind sound boxes."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "AVIF")
    head, _, data = buffer.getvalue().partition(b"mdat")
    return head + b"mdat" + bytes(len(data))


def _no_frames() -> bytes:
    """An MP4 with a video track and no sample in it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    return buffer.getvalue()


BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"hello, this is no picture at all", "supported"),
    "1x1": (_png((1, 1)), "1 x 1"),
    "truncated PNG": (_png((64, 64))[:4000], "broken"),
    "spoiled AVIF": (_spoiled_avif(), "broken"),
    "header only": (b"\x89PNG\r\n\x1a\n", "readable"),
    "no frames": (_no_frames(), "frames|broken"),
    "audio brand": (b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom", "supported"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    content, reason = BROKEN[name]
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=reason):
        list(open_media(path).frames())


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_clips_are_refused(share: float, mp4: Path) -> None:
    content = mp4.read_bytes()
    mp4.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MediaError, match="incomplete"):
        open_media(mp4)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        open_media(tmp_path / "none.png")


@pytest.mark.parametrize(
    "limits",
    [
        MediaLimits(max_bytes=100),
        MediaLimits(max_pixels=1000),
        MediaLimits(max_frames=5),
        MediaLimits(max_seconds=0.1),
    ],
)
def test_limits_are_kept(limits: MediaLimits, mp4: Path) -> None:
    with pytest.raises(MediaError, match="limit"):
        open_media(mp4, limits)


def test_a_sparse_giant_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "giant.mp4"
    path.touch()
    os.truncate(path, 10 << 30)
    with pytest.raises(MediaError, match="limit"):
        open_media(path)


def test_pixels_are_counted_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(MediaError, match="pixels"):
        open_media(path)


def test_writing_is_all_or_nothing(tmp_path: Path, short_clip: Frame) -> None:
    def breaks_off() -> Iterator[Frame]:
        yield short_clip[0]
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError):
        write_video(tmp_path / "x.mp4", breaks_off(), fps=24)
    with pytest.raises(MediaError, match="no frames"):
        write_video(tmp_path / "x.mp4", [], fps=24)
    with pytest.raises(MediaError, match="one size"):
        write_video(tmp_path / "x.mp4", [short_clip[0], short_clip[0, :, :64]], fps=24)
    with pytest.raises(MediaError, match="written as"):
        write_image(tmp_path / "x.bmp", short_clip[0])
    with pytest.raises(MediaError, match="cannot write"):
        write_image(tmp_path / "none" / "x.png", short_clip[0])
    with pytest.raises(MediaError, match="could not be written"):
        write_image(tmp_path / "x.png", np.zeros((4, 4, 7), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling is Linux's")
def test_an_encoder_leaves_no_realtime_thread_behind(tmp_path: Path) -> None:
    """SVT-AV1 takes what it can get: as root, realtime."""
    write_video(
        tmp_path / "clip.mp4", np.zeros((3, 64, 64, 3), np.uint8), fps=24, codec="libsvtav1", preset="12"
    )
    assert {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")} == {
        os.SCHED_OTHER
    }
    started = subprocess.run(
        [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"], capture_output=True, check=True
    )
    assert int(started.stdout) == os.SCHED_OTHER


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling is Linux's")
def test_threads_are_lowered_while_they_run() -> None:
    done = threading.Event()
    try:
        with usual_priority():
            thread = threading.Thread(target=done.wait)
            thread.start()
            os.sched_setscheduler(int(thread.native_id or 0), os.SCHED_FIFO, os.sched_param(1))
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip("only root may raise a priority")
    finally:
        done.set()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
