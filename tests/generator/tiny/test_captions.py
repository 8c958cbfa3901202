"""Captions say what is in the scene; the tokenizer keeps every word of them."""

from __future__ import annotations

import numpy as np

from generator.tiny.captions import all_words, write_caption
from generator.tiny.models import TEXT_TOKENS, UNKNOWN, build_tokenizer
from generator.tiny.scene import draw_attributes


def test_captions_name_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        seen = draw_attributes(rng)
        caption = write_caption(seen, rng)
        assert ("balloon" in caption) == (seen.balloon != "none")
        assert ("boat" in caption) == seen.boat
        assert ("birds" in caption) == seen.birds
        assert seen.balloon == "none" or f"a {seen.balloon} " in caption
        assert seen.body == "moon" or "moon" not in caption


def test_a_complete_caption_names_weather_relief_camera_and_light() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        seen = draw_attributes(rng)
        caption = write_caption(seen, rng, complete=True)
        assert caption.count(",") == 3
        assert seen.body == "none" or seen.body in caption


def test_same_state_same_caption() -> None:
    seen = draw_attributes(np.random.default_rng(1))
    assert len({write_caption(seen, np.random.default_rng(5)) for _ in range(3)}) == 1


def test_tokenizer_round_trip() -> None:
    tokenizer, rng = build_tokenizer(), np.random.default_rng(3)
    for _ in range(100):
        caption = write_caption(draw_attributes(rng), rng, complete=True)
        ids = tokenizer(caption)["input_ids"]
        assert len(ids) <= TEXT_TOKENS
        assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ,", ",") == caption


def test_unknown_words_are_unknown_and_case_does_not_matter() -> None:
    tokenizer = build_tokenizer()
    assert tokenizer("A Red Balloon")["input_ids"] == tokenizer("a red balloon")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("zeppelin")["input_ids"])[0] == UNKNOWN
    assert len(tokenizer) == len(all_words()) + 3
