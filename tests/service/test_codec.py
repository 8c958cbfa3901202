"""What crosses the border of the limited process comes back equal, and nothing else comes back at all."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.codec import decode, encode
from service.errors import IsolationError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Leaf:
    name: str
    data: bytes
    weight: float
    seen: datetime | None


@dataclass(frozen=True)
class Tree:
    colour: Colour
    leaf: Leaf | None
    many: tuple[Leaf, ...]
    pair: tuple[str, int]
    words: dict[str, bool]
    children: tuple["Tree", ...] = ()


@dataclass(frozen=True, eq=False)
class Placed:
    matrix: NDArray[np.float64]


text = st.text(max_size=8)
leaves = st.builds(
    Leaf,
    name=text,
    data=st.binary(max_size=20),
    weight=st.floats(allow_nan=False),
    seen=st.none() | st.datetimes(timezones=st.just(UTC)),
)
trees = st.recursive(
    st.builds(
        Tree,
        colour=st.sampled_from(Colour),
        leaf=st.none() | leaves,
        many=st.lists(leaves, max_size=2).map(tuple),
        pair=st.tuples(text, st.integers()),
        words=st.dictionaries(text, st.booleans(), max_size=2),
    ),
    lambda inner: st.builds(
        Tree,
        colour=st.just(Colour.RED),
        leaf=st.none(),
        many=st.just(()),
        pair=st.tuples(text, st.integers()),
        words=st.just({}),
        children=st.lists(inner, max_size=2).map(tuple),
    ),
    max_leaves=4,
)


@settings(deadline=None)  # the first example pays for the imports
@given(trees)
def test_a_value_comes_back_equal(tree: Tree) -> None:
    assert decode(Tree, encode(tree)) == tree


def test_arrays_come_back() -> None:
    matrix = np.arange(9.0).reshape(3, 3) / 7
    assert np.array_equal(decode(Placed, encode(Placed(matrix))).matrix, matrix)


LEAF = {"name": "a", "data": "", "weight": 1, "seen": None}


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1},
        {"data": "%%"},
        {"data": "é"},
        {"weight": "1"},
        {"weight": True},
        {"seen": "yesterday"},
        {"extra": 1},
        {"name": None},
    ],
)
def test_anything_else_is_refused(change: dict[str, Any]) -> None:
    assert decode(Leaf, json.dumps(LEAF).encode()).name == "a"
    with pytest.raises(IsolationError):
        decode(Leaf, json.dumps(LEAF | change).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"null", b"[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")]
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(IsolationError):
        decode(Leaf, data)


def test_endless_nesting_is_refused() -> None:
    plain = json.loads(encode(Tree(Colour.RED, None, (), ("", 0), {})))
    for _ in range(100):
        plain = plain | {"children": [plain]}
    with pytest.raises(IsolationError):
        decode(Tree, json.dumps(plain).encode())


def test_only_plain_values_leave() -> None:
    with pytest.raises(TypeError, match="object"):
        encode((object(),))
