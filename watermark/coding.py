"""Tail-biting convolutional code, constraint length 9, rate 1/4 (docs/spec/watermark.md, 4).

Generators 463, 535, 733, 745 (octal) are the maximum free distance code of Lin and Costello, table 12.1(d).
The decoder circulates the received word (wrap-around Viterbi: Shao, Lin and Fossorier, IEEE Trans. Commun.
51(10), 2003) and keeps a list of paths per state (Seshadri and Sundberg, IEEE Trans. Commun. 42, 1994): the
check of the payload then picks the right one, which is worth about 1 dB over taking the best path alone.
"""

from __future__ import annotations

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
        metric = _advance(metric, branch[:, step])
    start = metric
    for step in range(MESSAGE_BITS):
        metric = _advance(metric, branch[:, step])
    best: Soft = metric.max(axis=1) - start.max(axis=1)
    return best


def _branches(soft: Soft) -> Soft:
    """Metric of each transition: float32 [n, 64, 2, 256] by step, predecessor and new state."""
    branches: Soft = (soft.reshape(-1, MESSAGE_BITS, 4).astype(np.float32) @ _EDGES.T)[..., _REGISTER]
    return branches


def _advance(metric: Soft, branch: Soft) -> Soft:
    advanced: Soft = np.maximum(metric[:, _FROM[0]] + branch[:, 0], metric[:, _FROM[1]] + branch[:, 1])
    return advanced


def decode_list(soft: Soft, list_size: int = 4) -> tuple[Bits, Soft]:
    """Candidate messages for one received word, best first.

    `soft` is float [256], positive where a coded 0 is likelier. Returns uint8 [n, 64] and their correlations
    with `soft`, float32 [n]; n >= 0, at most 256 * `list_size`, without repeats.
    """
    branch = _branches(soft)[0]
    metric = np.zeros((1, STATES), np.float32)
    for step in range(MESSAGE_BITS):
        metric = _advance(metric, branch[None, step])
    start = np.full((STATES, list_size), -np.inf, np.float32)
    start[:, 0] = metric[0]
    metric, choices = _circulate(start, branch, list_size)
    messages = np.unique(_trace_back(metric, choices, list_size), axis=0)
    scores = correlate(messages, soft)
    order = np.argsort(-scores, kind="stable")
    return messages[order], scores[order]


def correlate(messages: Bits, soft: Soft) -> Soft:
    """Correlation of `soft`, float [256], with the code words of messages, uint8 [n, 64]: float32 [n]."""
    history = np.stack([np.roll(messages, age, axis=1) for age in range(MEMORY + 1)], axis=-1).astype(
        np.int64
    )
    registers = history @ (1 << np.arange(MEMORY + 1))  # [n, 64]
    scores: Soft = np.einsum("nti,ti->n", _EDGES[registers], soft.reshape(MESSAGE_BITS, 4)).astype(np.float32)
    return scores


def _circulate(metric: Soft, branch: Soft, list_size: int) -> tuple[Soft, NDArray[np.int16]]:
    """One way round the trellis. Returns the metrics [256, L] and, per step, which predecessor entry each
    came from.
    """
    choices = np.empty((MESSAGE_BITS, STATES, list_size), np.int16)
    for step in range(MESSAGE_BITS):
        arriving = metric[_FROM] + branch[step][:, :, None]  # [2, 256, L]
        arriving = arriving.transpose(1, 0, 2).reshape(STATES, -1)
        best = np.argsort(-arriving, axis=1)[:, :list_size]
        choices[step] = best
        metric = np.take_along_axis(arriving, best, axis=1)
    return metric, choices


def _trace_back(metric: Soft, choices: NDArray[np.int16], list_size: int) -> Bits:
    """The paths that end in the state in which they began: uint8 [n, 64]."""
    ends, ranks = np.nonzero(np.isfinite(metric))
    states = ends.copy()
    messages = np.empty((len(ends), MESSAGE_BITS), np.uint8)
    for step in reversed(range(MESSAGE_BITS)):
        messages[:, step] = states & 1
        choice = choices[step, states, ranks]
        states = _FROM[choice // list_size, states]
        ranks = choice % list_size
    closed: Bits = messages[states == ends]
    return closed
