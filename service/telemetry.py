"""Traces: one span per request and per job, and under a job one per stage: guard, denoise, decode+mark,
quality, encode, read back, sign.

A job's row carries the trace context of the request that made it, so both lie in one trace however long it
waited. Spans name ids, the model and sizes; no prompt, no text of a user, no message of an exception is ever
put into one. Without `ASSAY_OTLP_ENDPOINT` every span is the API's own no-op, and the SDK is not imported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from generator.stages import Progress
from service import metrics
from service.errors import ConfigurationError
from service.jobs import Job
from service.settings import Settings

NO_TRACER: Final[Tracer] = trace.NoOpTracer()
STAGE_NAMES: Final[Mapping[str, str]] = {
    "sample": "denoise",
    "decode": "decode+mark",
    "check": "quality",
    "confirm": "read back",
}
"""Spans are named for what happens; the other stages of the generator bear such names already."""
_CONTEXT = TraceContextTextMapPropagator()


def open_tracer(settings: Settings, process: str) -> Tracer:
    """The tracer of a process: one that exports over OTLP/HTTP, or one that does nothing.

    Raises `ConfigurationError` where the endpoint is set and the SDK is not installed.
    """
    if not settings.otlp_endpoint:
        return NO_TRACER
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            f"ASSAY_OTLP_ENDPOINT={settings.otlp_endpoint}: {error}; pip install 'assay[otel]'"
        ) from error
    described = {"service.name": f"assay-{process}", "service.namespace": settings.deployment}
    provider = TracerProvider(resource=Resource.create(described))
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider.get_tracer("assay")


def traceparent() -> str | None:
    """The context of the present span as W3C Trace Context writes it; None outside of a trace."""
    carrier: dict[str, str] = {}
    _CONTEXT.inject(carrier)
    return carrier.get("traceparent")


def parent_of(header: str | None) -> context.Context:
    """The context that a `traceparent` names; an empty one for none or nonsense."""
    return _CONTEXT.extract({"traceparent": header or ""})


class JobTrace:
    """One attempt at a job, from its lease to its end: its spans and the seconds of its stages.

    `progress` is what the generator calls; a new stage ends the one before.
    """

    def __init__(
        self,
        tracer: Tracer,
        job: Job,
        told: Progress,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tracer, self._job, self._told, self._seconds = tracer, job, told, seconds
        self._whole: Span | None = None
        self._span: Span | None = None
        self._stage = ""
        self._since = 0.0

    def __enter__(self) -> JobTrace:
        asked = self._job.request
        shown = {name: asked[name] for name in ("width", "height", "frames", "steps") if asked.get(name)}
        self._whole = self._tracer.start_span(
            "job",
            parent_of(self._job.traceparent),
            SpanKind.CONSUMER,
            {
                "assay.job.id": self._job.id,
                "assay.job.attempt": self._job.attempts,
                "assay.model": self._job.model,
                "assay.media_id": self._job.medium.hex,
                **{f"assay.{name}": value for name, value in shown.items()},
            },
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        self._end(kind)
        if self._whole is not None:
            _finish(self._whole, kind)
        outcome = "completed" if kind is None else str(getattr(error, "reason", None) or kind.__name__)
        metrics.RUNS.labels(self._job.model, outcome).inc()

    def progress(self, stage: str, fraction: float) -> None:
        """Note the stage, and pass it on."""
        name = STAGE_NAMES.get(stage, stage)
        if name != self._stage and self._whole is not None:
            self._end(None)
            self._stage, self._since = name, self._seconds()
            self._span = self._tracer.start_span(name, trace.set_span_in_context(self._whole))
        self._told(stage, fraction)

    def _end(self, kind: type[BaseException] | None) -> None:
        if self._span is None:
            return
        _finish(self._span, kind)
        metrics.STAGES.labels(self._stage, self._job.model).observe(self._seconds() - self._since)
        self._span, self._stage = None, ""


def _finish(span: Span, kind: type[BaseException] | None) -> None:
    """End a span. Of an exception its type alone is told: its message may quote the request."""
    if kind is not None:
        span.set_attribute("error.type", kind.__name__)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
