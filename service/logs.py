"""Log lines of every process: text, or one JSON object a line. No prompt is in them.

Our own errors say nothing of a request's texts. Those of libraries may quote what they were given, so of
their exceptions the type and the places alone are written, never the message.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from opentelemetry import trace

from generator.errors import GeneratorError, SampleError
from guard.errors import GuardError
from provenance.errors import ProvenanceError
from service.errors import ServiceError
from watermark.errors import WatermarkError

OURS: Final = (ServiceError, GeneratorError, GuardError, ProvenanceError, WatermarkError)
QUOTES: Final = (SampleError,)
"""Of ours, and yet they hand on what a pipeline said."""
FIELDS: Final = ("request_id", "method", "route", "status", "milliseconds", "tenant")
"""What a record may carry besides its message: `log.info(..., extra={...})`."""
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def describe(error: BaseException) -> list[str]:
    """One line per exception of a chain: its type, its message where it is ours, and where it was raised."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(lines) < 10:
        words = f": {seen}" if isinstance(seen, OURS) and not isinstance(seen, QUOTES) else ""
        frames = traceback.extract_tb(seen.__traceback__)[-6:]
        places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        lines.append(f"{type(seen).__name__}{words} at {places or 'an unknown place'}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return lines


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s {process} %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler's words for the exception, which it keeps on the record
        return super().format(record)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - the name of the base class
        return "\n".join(f"  {line}" for line in describe(ei[1])) if ei[1] else ""


class JsonFormatter(logging.Formatter):
    """Lines for machines."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        whole: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        whole |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            whole |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
        if record.exc_info and record.exc_info[1]:
            whole["error"] = describe(record.exc_info[1])
        return json.dumps(whole, ensure_ascii=True)


def start_logging(process: str, form: str = "text") -> None:
    """Send lines that name the process to standard error; `form` is `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(process) if form == "json" else TextFormatter(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("alembic", "httpx", "werkzeug"):
        logging.getLogger(name).setLevel(logging.WARNING)
