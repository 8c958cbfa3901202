"""`POST /v1/verify` as JSON, HTML and PDF; a hostile file name in all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import skimage.data
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.keys import create_keys
from service.serve import build_state
from service.settings import Settings
from service.wiring import open_services
from watermark import write_image


def test_the_answer_comes_in_the_form_that_was_asked_for(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    create_keys(settings.keys, now=datetime.now(UTC))
    client = TestClient(create_app(build_state(open_services(settings))))
    write_image(tmp_path / "a.png", np.ascontiguousarray(skimage.data.coffee()[:128, :128]))
    content = (tmp_path / "a.png").read_bytes()
    upload = {"file": ("<script>x</script>.png", content, "image/png")}
    kinds = ("application/json", "text/html", "application/pdf")
    answers = [client.post("/v1/verify", files=upload, headers={"accept": kind}) for kind in kinds]
    assert [answer.headers["content-type"].partition(";")[0] for answer in answers] == list(kinds)
    assert answers[0].json()["verdict"] == "no_evidence"
    assert "no_evidence" in answers[1].text
    assert "<script>" not in answers[1].text
    assert answers[2].content.startswith(b"%PDF-")
