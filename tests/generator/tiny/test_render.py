"""The renderer: the same scene gives the same picture, and the picture shows what the attributes say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from generator.tiny.data import draw_cells, is_held_out
from generator.tiny.render import Grid, render
from generator.tiny.scene import TIMES, Attributes, Scene, draw_attributes, draw_scene

GRID = Grid.full(60, 104)
PLAIN = Attributes("noon", "sea", "blue", "clear", "open", "none", "none", False, False, "still")


def scene(seen: Attributes = PLAIN, seed: int = 3) -> Scene:
    return draw_scene(np.random.default_rng(seed), seen)


def picture(seen: Attributes = PLAIN, seed: int = 3) -> Tensor:
    return render([scene(seen, seed)], torch.tensor([0.5]), GRID)[0, 0]


def test_same_seed_same_picture() -> None:
    scenes = [[draw_scene(np.random.default_rng(8)) for _ in range(3)] for _ in range(2)]
    assert scenes[0][0].attributes == scenes[1][0].attributes
    first, second = (render(s, torch.tensor([0.0, 1.0]), GRID) for s in scenes)
    assert torch.equal(first, second)
    assert first.shape == (3, 2, 3, 60, 104)
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1


def test_a_batch_is_its_scenes() -> None:
    rng = np.random.default_rng(4)
    scenes = [draw_scene(rng) for _ in range(4)]
    together = render(scenes, torch.tensor([1.0]), GRID)
    alone = torch.cat([render([s], torch.tensor([1.0]), GRID) for s in scenes])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_crop_is_part_of_the_whole() -> None:
    whole = render([scene()], torch.tensor([0.0]), GRID)
    part = render([scene()], torch.tensor([0.0]), GRID.crop(16, 32, 20, 24))
    assert torch.allclose(whole[..., 16:36, 32:56], part, atol=1e-5)


def test_every_time_of_day_looks_different() -> None:
    means = [picture(replace(PLAIN, time=time)).mean((1, 2)) for time in TIMES]
    for i, one in enumerate(means):
        assert all(float((one - other).abs().max()) > 0.04 for other in means[i + 1 :])


@pytest.mark.parametrize(
    "change",
    [{"boat": True}, {"birds": True}, {"balloon": "red"}, {"body": "sun"}],
    ids=lambda c: next(iter(c)),
)
def test_an_object_changes_a_part_of_the_picture(change: dict[str, object]) -> None:
    changed = (picture(replace(PLAIN, **change)) - picture()).abs().amax(0) > 0.1  # type: ignore[arg-type]
    assert 3 <= int(changed.sum()) < changed.numel() // 2


def test_the_balloon_has_its_colour() -> None:
    for colour, channel in (("red", 0), ("blue", 2)):
        seen = replace(PLAIN, balloon=colour)
        changed = (picture(seen) - picture()).abs().amax(0) > 0.25
        inside = picture(seen)[:, changed].mean(1)
        assert int(inside.argmax()) == channel


def test_the_camera_moves() -> None:
    clip = render([scene(replace(PLAIN, relief="mountains", camera="left"))], torch.tensor([0.0, 2.0]), GRID)[
        0
    ]
    assert float((clip[0] - clip[1]).abs().mean()) > 0.005


def test_nothing_to_render_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one scene"):
        render([], torch.tensor([0.0]), GRID)
    with pytest.raises(ValueError, match="at least one scene"):
        render([scene()], torch.tensor([]), GRID)


def test_drawn_attributes_fit_together() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_attributes(rng) for _ in range(400)]
    assert all(not a.boat for a in drawn if a.surface == "meadow")
    assert all(a.body != "sun" for a in drawn if a.time in ("dusk", "night"))
    assert 0.05 < np.mean([is_held_out(a) for a in drawn]) < 0.3


def test_crops_lie_within_the_picture() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        cells = draw_cells(draw_scene(rng), rng, 6)
        assert 0 <= cells.top <= 24
        assert 0 <= cells.left <= 46


def test_scenes_of_a_batch_may_have_grids_and_times_of_their_own() -> None:
    scenes, grids = [scene(), scene(seed=4)], [GRID.crop(0, 8, 20, 24), GRID.crop(30, 60, 20, 24)]
    times = torch.tensor([[0.0], [1.5]])
    together = render(scenes, times, Grid.stack(grids))
    for one, time, grid, made in zip(scenes, times, grids, together, strict=True):
        assert torch.allclose(render([one], time, grid)[0], made, atol=1e-5)


def test_without_objects_the_picture_is_the_scene_behind_them() -> None:
    seen = replace(PLAIN, boat=True, birds=True, balloon="red")
    plain = render([scene(seen)], torch.tensor([0.5]), GRID, objects=False)[0, 0]
    assert torch.equal(plain, picture())
