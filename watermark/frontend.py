"""From frames to whitened, normalised maps of Y and Cb: the same for every key (docs/spec/watermark.md, 9.1).

Nothing here knows a key, so nothing here can weaken the bound on false positives: to a random carrier the
maps of any number of frames are just one more picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from watermark.errors import DetectionError
from watermark.geometry import Matrix, work_scaling
from watermark.layout import CHROMA, LUMA, Channel, raised_cosine
from watermark.limits import MIN_SIDE
from watermark.whitening import locally_whitened

WORK_SHORT_SIDE = 256  # samples
MAX_ASPECT = 4  # wider pictures, which no writer marks, are examined around their centre
THIN_AFTER = 24  # frames
OPENING = 3  # frames: what an encoder draws afresh, before it moves the mark along with the picture
AT_ONCE = 2  # frames: what the two processors of a small machine take; each of them stays on one thread
SMALL = 3 * 2**22  # values of a frame: larger ones would double a peak of memory that is theirs alone
_NORMALISING_WINDOW = 13  # samples
_REGRESSION_WINDOW = 21  # samples
_RIDGE = 0.05
_SENSOR_NOISE = 0.2  # grey levels: what rounding leaves in a flat area
_CALM = 0.6
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Maps:
    """Summed maps of a medium: `luma` and `chroma`, float32 [h, w], of pictures of `height` x `width`
    pixels; `opening` those of its first frames alone, for clips that have more.
    """

    luma: Plane
    chroma: Plane
    height: int
    width: int
    frames: int
    opening: Maps | None = None

    @property
    def to_work(self) -> Matrix:
        """Pixels of the picture to samples of the maps."""
        height, width = _examined(self.height, self.width)
        offset = np.array(
            [[1, 0, -((self.width - width) // 2)], [0, 1, -((self.height - height) // 2)], [0, 0, 1]]
        )
        to_work: Matrix = work_scaling(height, width, *self.luma.shape) @ offset
        return to_work

    def plane(self, channel: Channel) -> Plane:
        """What the detector looks at: luma with its local spectra evened out, chroma as it is, in which that
        finds nothing more to even out (measured).
        """
        return self._white_luma if channel is LUMA else self.chroma

    def __add__(self, other: Maps) -> Maps:
        """Both, without openings. Raises `DetectionError` when they are of pictures of two sizes."""
        self.require_size_of(other)
        frames = self.frames + other.frames
        return Maps(self.luma + other.luma, self.chroma + other.chroma, self.height, self.width, frames)

    def require_size_of(self, other: Maps) -> None:
        """Raises `DetectionError` when both are not of pictures of one size."""
        if (self.height, self.width) != (other.height, other.width):
            raise DetectionError(
                "all frames must be of one size: "
                f"one is {other.width} x {other.height} pixels, the first was {self.width} x {self.height}"
            )

    @cached_property
    def _white_luma(self) -> Plane:
        return locally_whitened(self.luma)


def analyse(frame: NDArray[np.uint8]) -> tuple[Plane, Plane]:
    """Maps of one frame, uint8 [H, W, 3]: luma and chroma, float32 [h, w], h or w being 256."""
    planes = _work_planes(frame)
    luma, blue, red = (fft.rfft2(plane) for plane in planes)
    shape = planes[0].shape
    for_luma, for_chroma = _whitening(shape, LUMA), _whitening(shape, CHROMA)
    white_y = fft.irfft2(luma * for_luma, shape)
    guide = fft.irfft2(luma * for_chroma, shape)
    white_b = fft.irfft2(blue * for_chroma, shape)
    white_r = fft.irfft2(red * for_chroma, shape)
    return _normalise(white_y), _normalise(_cancel_host(white_b, guide, white_r))


class Reader(Protocol):
    """What takes the maps of a medium frame by frame. It is asked about every frame, in order, and may be
    asked about further ones before it is given those it wanted, in order.
    """

    def wants(self, index: int) -> bool: ...

    def add(self, index: int, frame: Maps) -> None: ...


class Summed:
    """The sum of the maps of a medium, taken frame by frame.

    Neighbouring frames tell much the same, so long clips are thinned out as they come: the first
    `THIN_AFTER` frames are all read, then every second for as many reads, every fourth, and so on. 120
    frames cost 60 reads, ten minutes at 24 per second 225.
    """

    def __init__(self) -> None:
        self._total: Maps | None = None
        self._opening: Maps | None = None
        self._wanted = 0

    def wants(self, index: int) -> bool:
        """Whether frame `index` is to be read; every frame is asked for, in order."""
        wanted = index % (1 << self._wanted // THIN_AFTER) == 0
        self._wanted += wanted
        return wanted

    def add(self, index: int, frame: Maps) -> None:
        """Add the maps of a frame. Raises `DetectionError` when it is not of the size of the first."""
        self._total = frame if self._total is None else self._total + frame
        if self._count == OPENING:
            self._opening = self._total

    def maps(self) -> Maps:
        """The sum so far. Raises `DetectionError` when there were no frames."""
        if self._total is None:
            raise DetectionError("there are no frames to examine")
        return replace(self._total, opening=self._opening if self._count > OPENING else None)

    @property
    def _count(self) -> int:
        return 0 if self._total is None else self._total.frames


def accumulate(frames: Iterable[NDArray[np.uint8]]) -> Maps:
    """Sum the maps of frames of one size, one frame in memory at a time.

    Raises `DetectionError` for no frames, or frames that are not pictures of one size.
    """
    summed = Summed()
    feed(frames, summed)
    return summed.maps()


def feed(frames: Iterable[NDArray[np.uint8]], *readers: Reader) -> None:
    """Show frames to readers that take what they want; no frame is analysed twice, small ones two at once.

    Raises what `maps_of` and the readers raise.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running: deque[tuple[int, Future[Maps], list[Reader]]] = deque()
        for index, frame in enumerate(frames):
            wanting = [reader for reader in readers if reader.wants(index)]
            if wanting:
                running.append((index, pool.submit(maps_of, frame), wanting))
            while len(running) >= (AT_ONCE if frame.size <= SMALL else 1):
                _deliver(*running.popleft())
        for analysed in running:
            _deliver(*analysed)


def _deliver(index: int, maps: Future[Maps], readers: Iterable[Reader]) -> None:
    for reader in readers:
        reader.add(index, maps.result())


def maps_of(frame: NDArray[np.uint8]) -> Maps:
    """The maps of one frame, uint8 [H, W, 3] sRGB. Raises `DetectionError` for anything else."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise DetectionError(f"frames must be uint8 [H, W, 3], got {frame.dtype} {list(frame.shape)}")
    height, width = frame.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise DetectionError(f"a frame of {width} x {height} pixels is too small to examine")
    return Maps(*analyse(frame), height, width, 1)


def _examined(height: int, width: int) -> tuple[int, int]:
    longest = MAX_ASPECT * min(height, width)
    return min(height, longest), min(width, longest)


def work_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the maps of a picture."""
    scale = WORK_SHORT_SIDE / min(height, width)
    return round(height * scale), round(width * scale)


def _work_planes(frame: NDArray[np.uint8]) -> tuple[Plane, Plane, Plane]:
    """Y, Cb, Cr in grey levels, float32, at the work size."""
    height, width = _examined(*frame.shape[:2])
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    frame = frame[top : top + height, left : left + width]
    h, w = work_size(height, width)
    shrinks = min(height, width) > WORK_SHORT_SIDE
    rgb = cv2.resize(
        frame.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    y = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    return y, (rgb[..., 2] - y) / 1.772, (rgb[..., 0] - y) / 1.402


@lru_cache(maxsize=16)
def _whitening(shape: tuple[int, int], channel: Channel) -> Plane:
    """Response proportional to frequency, as the spectrum of pictures falls, inside the band of the
    channel.
    """
    f = frequency_grid(shape, channel)
    return (f * raised_cosine(f, 0.03, 0.08) * (1 - raised_cosine(f, 0.75, 1.0))).astype(np.float32)


@lru_cache(maxsize=8)
def frequency_grid(shape: tuple[int, int], channel: Channel) -> NDArray[np.float64]:
    """Radial frequency, cycles per chip of an uncropped picture, of each bin of `rfft2` of a map."""
    per_chip = min(shape) / channel.per_short_side
    grid: NDArray[np.float64] = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None, :])
    return grid * per_chip


def _normalise(plane: Plane) -> Plane:
    """Limit to the local deviation, so that no edge outweighs the rest, and favour calm places.

    The best weight for a carrier in noise is its amplitude over the noise power; the amplitude grows a little
    with the texture, so the weight falls with less than the square of the deviation (exponent measured).
    """
    deviation = np.sqrt(_box(plane * plane, _NORMALISING_WINDOW)) + _SENSOR_NOISE
    weighted: Plane = (np.tanh(plane / (2 * deviation)) / cv2.pow(deviation + 0.5, _CALM)).astype(np.float32)
    return weighted


def _cancel_host(blue: Plane, luma: Plane, red: Plane) -> Plane:
    """Take out of Cb what Y and Cr foretell of it in a local window (least squares with a ridge)."""

    def box(a: Plane, b: Plane) -> Plane:
        return _box(a * b, _REGRESSION_WINDOW)

    yy, rr, yr = box(luma, luma) + _RIDGE, box(red, red) + _RIDGE, box(luma, red)
    by, br = box(blue, luma), box(blue, red)
    determinant = yy * rr - yr * yr
    from_luma = (by * rr - br * yr) / determinant
    from_red = (br * yy - by * yr) / determinant
    residual: Plane = blue - from_luma * luma - from_red * red
    return residual


def _box(plane: Plane, size: int) -> Plane:
    blurred: Plane = cv2.blur(plane, (size, size), borderType=cv2.BORDER_REFLECT_101)
    return blurred
