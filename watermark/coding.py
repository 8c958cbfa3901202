"""Tail-biting convolutional code, constraint length 9, rate 1/4 (docs/spec/watermark.md, 4).

Generators 463, 535, 733, 745 (octal) are the maximum free distance code of Lin and Costello, table 12.1(d).
A circulating Viterbi decoder (Shao, Lin and Fossorier, IEEE Trans. Commun. 51(10), 2003) says quickly how
much any code word can correlate at most. Where that is enough, code words are listed by likelihood, none left
out, and the check of the payload picks the right one: whatever the bound lets pass is also decoded.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from watermark.payload import MESSAGE_BITS, Bits

GENERATORS = (0o463, 0o535, 0o733, 0o745)
MEMORY = 8
STATES = 1 << MEMORY
CODED_BITS = MESSAGE_BITS * len(GENERATORS)
EITHER = 2
"""Among the leading bits of messages: 0 or 1."""
Soft = NDArray[np.floating]


def encode(bits: Bits) -> Bits:
    """Coded bits, uint8 [256], of a message, uint8 [64]. Output 4 t + g is generator g at message bit t.

    The register starts with the last eight message bits (tail-biting), newest bit in the least significant
    place.
    """
    register = 0
    for bit in bits[-MEMORY:]:
        register = (register << 1 | int(bit)) & (STATES - 1)
    coded = np.empty(CODED_BITS, np.uint8)
    for step, bit in enumerate(bits):
        register = (register << 1 | int(bit)) & (2 * STATES - 1)
        for g, generator in enumerate(GENERATORS):
            coded[4 * step + g] = (register & generator).bit_count() & 1
    return coded


def _edge_signs() -> Soft:
    """float32 [512, 4]: what each register content sends, +1 for a coded 0 and -1 for a coded 1."""
    registers = range(2 * STATES)
    parity = [[(register & generator).bit_count() & 1 for generator in GENERATORS] for register in registers]
    return (1 - 2 * np.array(parity)).astype(np.float32)


_EDGES = _edge_signs()
# All generators hold the newest and the oldest bit, so that each of the two negates all four coded bits.
# States k and k + 128 lead to 2 k and 2 k + 1; one number says what all four ways send.
_WAYS = _EDGES[:STATES:2]


def best_correlations(soft: Soft, leading: Bits | None = None) -> Soft:
    """For received words, float [n, 256], positive where a coded 0 is likelier: what the best path through
    the code correlates to, float32 [n]. No code word exceeds it, but for paths that a single circulation
    leaves unsettled. Where `leading`, uint8 [n, bits] of 0, 1 and `EITHER`, is given, only messages count
    that begin so.
    """
    gains = _gains(soft)
    bars = _bars(leading)
    start = _around(np.zeros((STATES, len(soft)), np.float32), gains, bars)
    best: Soft = _around(start, gains, bars).max(axis=0) - start.max(axis=0)
    return best


def _gains(soft: Soft) -> Soft:
    """float32 [64, 128, n]: what the way from state k to 2 k gains in each step."""
    steps = soft.reshape(-1, MESSAGE_BITS, len(GENERATORS)).astype(np.float32)
    return np.ascontiguousarray((steps @ _WAYS.T).transpose(1, 2, 0))


def _bars(leading: Bits | None) -> Soft:
    """float32 [steps, 2, n]: minus infinity for a new bit that `leading`, uint8 [n, steps], rules out."""
    if leading is None:
        return np.empty((0, 2, 1), np.float32)
    barred = np.stack([leading.T == 1, leading.T == 0], axis=1)
    return np.where(barred, np.float32(-np.inf), np.float32(0))


def _around(metric: Soft, gains: Soft, bars: Soft) -> Soft:
    for step in range(MESSAGE_BITS):
        metric = _advance(metric, step, gains, bars)
    return metric


def _advance(metric: Soft, step: int, gains: Soft, bars: Soft) -> Soft:
    """Best metric [256, n] of each state after one more step."""
    low, high, gain = metric[: STATES // 2], metric[STATES // 2 :], gains[step]
    advanced: Soft = np.empty_like(metric)
    np.maximum(low + gain, high - gain, out=advanced[0::2])
    np.maximum(low - gain, high + gain, out=advanced[1::2])
    if step < len(bars):
        advanced[0::2] += bars[step, 0]
        advanced[1::2] += bars[step, 1]
    return advanced


def decode_list(
    soft: Soft, leading: Bits | None = None, *, least: float, limit: int
) -> Iterator[tuple[Bits, float]]:
    """Messages for one received word, best first and none left out: (uint8 [64], correlation with `soft`).

    `soft` is float [256], positive where a coded 0 is likelier; where `leading`, uint8 [bits], is given, only
    messages that begin with it are listed. Ends at the first whose correlation is below
    `least`, and after `limit` of them. Every way round the trellis is followed forwards from each of the 256
    states in which it may begin and end. The closed paths are then unrolled backwards, best first, for the
    next best always leaves one that was found before at a single place (Soong and Huang, ICASSP 1991).
    """
    gains, bars = _gains(soft[None]), _bars(None if leading is None else leading[None])
    metrics = _circulations(gains, bars)
    closed = np.diagonal(metrics[-1])
    heap = [
        _Path(-float(closed[s]), int(s), MESSAGE_BITS, int(s), 0) for s in np.flatnonzero(closed >= least)
    ]
    heapq.heapify(heap)
    for _ in range(limit):
        if not heap:
            return
        best = heapq.heappop(heap)
        word, others = _unroll(best, metrics, gains, least)
        for other in others:
            heapq.heappush(heap, other)
        yield np.unpackbits(np.frombuffer(word.to_bytes(MESSAGE_BITS // 8, "big"), np.uint8)), -best.cost


class _Path(NamedTuple):
    """The best way from `start` to `state` before `step`, and on from there to `start` again by the message
    bits of `word` (the first bit is the most significant); `cost` is minus its correlation.
    """

    cost: float
    start: int
    step: int
    state: int
    word: int


def _circulations(gains: Soft, bars: Soft) -> Soft:
    """Best correlation of the paths from each state at the start to each state before each step: float32
    [65, 256 states, 256 starts].
    """
    metrics = np.empty((MESSAGE_BITS + 1, STATES, STATES), np.float32)
    metrics[0] = np.where(np.eye(STATES, dtype=bool), 0, -np.inf)
    for step in range(MESSAGE_BITS):
        metrics[step + 1] = _advance(metrics[step], step, gains, bars)
    return metrics


def _unroll(path: _Path, metrics: Soft, gains: Soft, least: float) -> tuple[int, list[_Path]]:
    """The message of a path, and the paths that leave it once on the way back, down to `least`."""
    state, word, others = path.state, path.word, []
    for step in range(path.step, 0, -1):
        word |= (state & 1) << MESSAGE_BITS - step
        low, high = state >> 1, state >> 1 | STATES >> 1
        gain = float(gains[step - 1, low, 0]) * (1 - 2 * (state & 1))
        from_low = float(metrics[step - 1, low, path.start]) + gain
        from_high = float(metrics[step - 1, high, path.start]) - gain
        best, worse = (low, high) if from_low > from_high else (high, low)
        cost = path.cost + abs(from_low - from_high)
        if -cost >= least:
            others.append(_Path(cost, path.start, step - 1, worse, word))
        state = best
    return word, others


def correlate(messages: Bits, soft: Soft) -> Soft:
    """Correlation of `soft`, float [256], with the code words of messages, uint8 [n, 64]: float32 [n]."""
    history = np.stack([np.roll(messages, age, axis=1) for age in range(MEMORY + 1)], axis=-1).astype(
        np.int64
    )
    registers = history @ (1 << np.arange(MEMORY + 1))  # [n, 64]
    scores: Soft = np.einsum("nti,ti->n", _EDGES[registers], soft.reshape(MESSAGE_BITS, 4)).astype(np.float32)
    return scores
