"""The fields agree with the renderer: edges run where they say, objects stand where they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from generator.tiny.geometry import FIELDS, GAIN, draw_fields
from generator.tiny.render import Grid, render
from generator.tiny.scene import Attributes, Scene, draw_scene

CELLS = Grid.full(30, 52)
PLAIN = Attributes("noon", "sea", "blue", "clear", "open", "none", "none", False, False, "left")
MOMENT = torch.tensor([1.0])
FIRST_NEAR, DISC, BALLOON, BOAT, BIRDS = 3, 6, 9, 10, 11


def scene(seen: Attributes, seed: int = 3) -> Scene:
    return draw_scene(np.random.default_rng(seed), seen)


def fields(one: Scene) -> Tensor:
    return draw_fields([one], MOMENT, CELLS)[0, :, 0]


def picture(one: Scene, *, objects: bool = True) -> Tensor:
    return render([one], MOMENT, Grid.full(480, 832), objects=objects)[0, 0]


def crossing(column: Tensor) -> float:
    """Where a column of 30 cells changes its sign, in pixels of 480, between the two cells' centres."""
    k = int((column > 0).int().argmax())
    distance = torch.atanh(column[k - 1 : k + 1])
    return 16 * (k - 0.5 + float(distance[0] / (distance[0] - distance[1])))


def test_the_horizon_is_where_the_picture_changes_most() -> None:
    one = scene(PLAIN)
    change = picture(one).mean(0).diff(dim=0).abs()
    for column in (5, 26, 40):
        drawn = int(change[200:, 16 * column + 8].argmax()) + 201
        assert crossing(fields(one)[FIRST_NEAR, :, column]) == pytest.approx(drawn, abs=1.5)


def test_a_ridge_is_where_the_picture_changes_most() -> None:
    one = scene(replace(PLAIN, surface="meadow", palette="golden", relief="hills"))
    change = picture(one).diff(dim=1).abs().sum(0)
    for column in (5, 26, 40):
        expected = crossing(fields(one)[5, :, column])
        drawn = int(change[380:, 16 * column + 8].argmax()) + 381
        assert expected == pytest.approx(drawn, abs=1.5)


def test_the_disc_is_bright_inside_and_only_there() -> None:
    one = scene(replace(PLAIN, time="sunset", body="sun"))
    change = (picture(one) - picture(one, objects=False)).abs().sum(0)
    inside, field = change[8::16, 8::16] > 0.02, fields(one)[DISC]
    clear = field.abs() > 0.1  # not on the rim, where half a pixel decides
    assert torch.equal(inside[clear], field[clear] > 0)
    assert inside.any()


@pytest.mark.parametrize(
    ("change", "window"), [({"balloon": "red"}, BALLOON), ({"boat": True}, BOAT), ({"birds": True}, BIRDS)]
)
def test_an_object_lies_under_its_window(change: dict[str, object], window: int) -> None:
    one = scene(replace(PLAIN, **change))  # type: ignore[arg-type]
    shown = (picture(one) - picture(one, objects=False)).abs().sum(0) > 0.2
    cells = shown.view(30, 16, 52, 16).any(3).any(1)
    assert cells.any()
    assert float(fields(one)[window][cells].min()) > 0.2 * GAIN


def test_what_is_absent_leaves_constant_fields() -> None:
    made = fields(scene(PLAIN))
    assert made.shape == (FIELDS, 30, 52)
    assert torch.equal(made[DISC], torch.full((30, 52), -GAIN))
    assert torch.equal(made[DISC + 1 :], torch.zeros(FIELDS - DISC - 1, 30, 52))
    assert torch.equal(made[[4, 5]], -torch.ones(2, 30, 52))
