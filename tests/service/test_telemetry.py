"""Metrics, traces and log lines: what is told, and that no prompt ever is."""

from __future__ import annotations

import json
import logging
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from generator import QualityError
from generator.errors import SampleError
from service import metrics
from service.api.app import create_app
from service.errors import ConfigurationError, ServiceError
from service.jobs import Lease
from service.keys import create_keys
from service.logs import JsonFormatter, TextFormatter
from service.production import Producer
from service.serve import build_state
from service.settings import Settings
from service.telemetry import NO_TRACER, JobTrace, open_tracer
from service.wiring import Services, open_services
from service.worker import Worker
from tests.service.conftest import MODEL, new_job

ROOT = Path(__file__).parents[2]
PROMPT = "a secret garden under a violet moon"
STAGES = ("guard", "sample", "decode", "check", "encode", "confirm", "sign")
NAMES = ["guard", "denoise", "decode+mark", "quality", "encode", "read back", "sign"]


class Spans:
    """A tracer whose spans stay in memory."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer = provider.get_tracer("tests")

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        return self._kept.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.ended if span.name == name]
        return found


class Walks:
    """A producer that goes through the stages and may fail in one."""

    def __init__(self, failure: Exception | None = None, at: str = "") -> None:
        self.failure, self.at = failure, at

    def produce(self, lease: Lease, *, progress: Any, cancelled: Any) -> None:
        for stage in STAGES:
            progress(stage, 0.0)
            if stage == self.at and self.failure is not None:
                raise self.failure

    def clean(self, lease: Lease) -> None:
        """Nothing was made."""


@pytest.fixture
def services(tmp_path: Path) -> Services:
    settings = Settings(home=tmp_path)
    create_keys(settings.keys, now=datetime.now(UTC))
    return open_services(settings)


def submit_and_work(services: Services, spans: Spans, producer: Walks) -> TestClient:
    """A job asked for over HTTP and run by a worker."""
    client = TestClient(create_app(replace(build_state(services), tracer=spans.tracer)))
    assert client.post("/v1/videos", json={"prompt": PROMPT}).status_code == 200
    lease = services.jobs.claim("w", MODEL)
    assert lease is not None
    worker = Worker(services, cast(Producer, producer), "w")
    worker._tracer = spans.tracer
    worker.work(lease)
    return client


def everything(spans: tuple[ReadableSpan, ...]) -> str:
    return "\n".join(span.to_json() for span in spans)


def test_request_and_job_lie_in_one_trace_with_a_span_per_stage(services: Services) -> None:
    spans = Spans()
    submit_and_work(services, spans, Walks())
    request, job = spans.named("POST /v1/videos"), spans.named("job")
    whole = [span.name for span in spans.ended if span.parent == job.context or span.name == "job"]
    assert whole == [*NAMES, "job"]
    assert job.parent is not None
    assert request.context is not None
    assert job.parent.span_id == request.context.span_id
    assert {span.context.trace_id for span in spans.ended if span.context} == {request.context.trace_id}
    assert (request.attributes or {})["http.route"] == "/v1/videos"
    assert (job.attributes or {})["assay.model"] == MODEL
    assert "violet" not in everything(spans.ended)


def test_a_failure_names_its_type_and_nothing_else(services: Services, caplog: Any) -> None:
    spans = Spans()
    with caplog.at_level(logging.INFO):
        submit_and_work(services, spans, Walks(ValueError(f"cannot encode {PROMPT}"), "decode"))
    failed = [span.name for span in spans.ended if (span.attributes or {}).get("error.type") == "ValueError"]
    assert failed == ["decode+mark", "job"]
    assert "violet" not in everything(spans.ended)
    lines = [JsonFormatter("worker").format(record) for record in caplog.records]
    lines += [TextFormatter("worker").format(record) for record in caplog.records]
    assert any("ValueError at " in line for line in lines)
    assert "violet" not in "\n".join(lines)


def test_a_callers_own_trace_goes_on(services: Services) -> None:
    spans = Spans()
    client = TestClient(create_app(replace(build_state(services), tracer=spans.tracer)))
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    client.get("/healthz", headers={"traceparent": f"00-{trace_id}-{span_id}-01"})
    parent = spans.named("GET /healthz").parent
    assert parent is not None
    assert (f"{parent.trace_id:032x}", f"{parent.span_id:016x}") == (trace_id, span_id)


def test_without_an_endpoint_nothing_is_traced(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_tracer(services.settings, "api") is NO_TRACER
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"assay\[otel\]"):
        open_tracer(replace(services.settings, otlp_endpoint="http://127.0.0.1:4318"), "api")


def test_every_metric_of_the_dashboard_is_exported(services: Services) -> None:
    client = submit_and_work(services, Spans(), Walks(QualityError("black"), "check"))
    client.post("/v1/moderations", json={"input": "a boat"})
    metrics.VERDICTS.labels("no_evidence")
    metrics.RUNS.labels(MODEL, "completed")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [line for line in answer.text.splitlines() if not line.startswith("#")]
    exported = {line.partition("{")[0].partition(" ")[0] for line in samples}
    dashboard = (ROOT / "deploy/grafana-dashboard.json").read_text("utf-8")
    panels = json.loads(dashboard)["panels"]
    used = set(re.findall(r"\bassay_\w+", "\n".join(one["expr"] for p in panels for one in p["targets"])))
    assert len(used) >= 10
    assert used <= exported
    assert len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}) == len(panels)


def test_routes_are_counted_as_they_are_declared(services: Services) -> None:
    client = TestClient(create_app(build_state(services)))
    for name in ("video_1", "video_2"):
        client.get(f"/v1/videos/{name}")
    client.get("/no/such/path")
    text = client.get("/metrics").text
    assert 'route="/v1/videos/{video_id}",status="404"' in text
    assert "video_1" not in text
    assert "such" not in text


def test_stages_are_timed(services: Services) -> None:
    moments = iter(range(100))
    job, _ = services.jobs.submit(new_job())
    before = _sum("encode")
    with JobTrace(NO_TRACER, job, lambda *_: None, seconds=lambda: float(next(moments))) as spans:
        for stage in STAGES:
            spans.progress(stage, 0.0)
            spans.progress(stage, 1.0)
    assert _sum("encode") - before == 1.0


def _sum(stage: str) -> float:
    value = metrics._REGISTRY.get_sample_value("assay_stage_seconds_sum", {"stage": stage, "model": MODEL})
    return value or 0.0


def test_a_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("service.test")
    with caplog.at_level(logging.INFO):
        try:
            raise SampleError("wan: the pipeline failed: ValueError: my prompt") from ValueError("my prompt")
        except SampleError:
            logger.exception("job %s failed", "video_1", extra={"request_id": "req_1"})
        try:
            raise ServiceError("the key is missing")
        except ServiceError:
            logger.exception("no")
    first, second = (json.loads(JsonFormatter("worker").format(record)) for record in caplog.records)
    assert (first["level"], first["process"], first["request_id"]) == ("error", "worker", "req_1")
    assert first["message"] == "job video_1 failed"
    assert [line.partition(" ")[0] for line in first["error"]] == ["SampleError", "ValueError"]
    assert "my prompt" not in json.dumps(first)
    assert second["error"][0].startswith("ServiceError: the key is missing at ")
