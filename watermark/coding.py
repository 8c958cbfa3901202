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
# A new state s is reached from the old states s >> 1 and s >> 1 | 128 (the bit that leaves the register).
_FROM = np.stack([np.arange(STATES) >> 1, np.arange(STATES) >> 1 | STATES >> 1])
_REGISTER = _FROM << 1 | (np.arange(STATES) & 1)


def best_correlations(soft: Soft) -> Soft:
    """For received words, float [n, 256], positive where a coded 0 is likelier: what the best path through
    the code correlates to, float32 [n]. No code word exceeds it, but for paths that a single circulation
    leaves unsettled.
    """
    branch = _branches(soft)
    metric = np.zeros((len(soft), STATES), np.float32)
    for step in range(MESSAGE_BITS):
        metric = _advance(metric, branch[step])
    start = metric
    for step in range(MESSAGE_BITS):
        metric = _advance(metric, branch[step])
    best: Soft = metric.max(axis=1) - start.max(axis=1)
    return best


def _branches(soft: Soft) -> Soft:
    """Metric of each transition: float32 [64, 2, n, 256] by step, predecessor and new state."""
    edges = soft.reshape(-1, MESSAGE_BITS, 4).astype(np.float32).swapaxes(0, 1) @ _EDGES.T
    return np.stack([edges.take(register, axis=-1) for register in _REGISTER], axis=1)


def _advance(metric: Soft, branch: Soft) -> Soft:
    """Best metric [n, 256] of each state after one step. Two states in a row come from the same two."""
    ways = np.repeat(metric, 2, axis=1)
    advanced: Soft = np.maximum(ways[:, :STATES] + branch[0], ways[:, STATES:] + branch[1])
    return advanced


def decode_list(soft: Soft, *, least: float, limit: int) -> Iterator[tuple[Bits, float]]:
    """Messages for one received word, best first and none left out: (uint8 [64], correlation with `soft`).

    `soft` is float [256], positive where a coded 0 is likelier. Ends at the first whose correlation is below
    `least`, and after `limit` of them. Every way round the trellis is followed forwards from each of the 256
    states in which it may begin and end. The closed paths are then unrolled backwards, best first, for the
    next best always leaves one that was found before at a single place (Soong and Huang, ICASSP 1991).
    """
    branch = _branches(soft)[:, :, 0]
    metrics = _circulations(branch)
    closed = np.diagonal(metrics[-1])
    heap = [
        _Path(-float(closed[s]), int(s), MESSAGE_BITS, int(s), 0) for s in np.flatnonzero(closed >= least)
    ]
    heapq.heapify(heap)
    for _ in range(limit):
        if not heap:
            return
        best = heapq.heappop(heap)
        word, others = _unroll(best, metrics, branch, least)
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


def _circulations(branch: Soft) -> Soft:
    """Best correlation of the paths from each state at the start to each state before each step: float32
    [65, 256 states, 256 starts].
    """
    metrics = np.empty((MESSAGE_BITS + 1, STATES, STATES), np.float32)
    metrics[0] = np.where(np.eye(STATES, dtype=bool), 0, -np.inf)
    for step in range(MESSAGE_BITS):
        before, gain = metrics[step], branch[step][..., None]
        np.maximum(before[_FROM[0]] + gain[0], before[_FROM[1]] + gain[1], out=metrics[step + 1])
    return metrics


def _unroll(path: _Path, metrics: Soft, branch: Soft, least: float) -> tuple[int, list[_Path]]:
    """The message of a path, and the paths that leave it once on the way back, down to `least`."""
    state, word, others = path.state, path.word, []
    for step in range(path.step, 0, -1):
        word |= (state & 1) << MESSAGE_BITS - step
        arriving = [
            float(metrics[step - 1, _FROM[side, state], path.start] + branch[step - 1, side, state])
            for side in (0, 1)
        ]
        worse = int(arriving[0] >= arriving[1])
        cost = path.cost + arriving[1 - worse] - arriving[worse]
        if -cost >= least:
            others.append(_Path(cost, path.start, step - 1, int(_FROM[worse, state]), word))
        state = int(_FROM[1 - worse, state])
    return word, others


def correlate(messages: Bits, soft: Soft) -> Soft:
    """Correlation of `soft`, float [256], with the code words of messages, uint8 [n, 64]: float32 [n]."""
    history = np.stack([np.roll(messages, age, axis=1) for age in range(MEMORY + 1)], axis=-1).astype(
        np.int64
    )
    registers = history @ (1 << np.arange(MEMORY + 1))  # [n, 64]
    scores: Soft = np.einsum("nti,ti->n", _EDGES[registers], soft.reshape(MESSAGE_BITS, 4)).astype(np.float32)
    return scores
