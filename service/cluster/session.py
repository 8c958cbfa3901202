"""A Ray to run on: one of our own on loopback, or the cluster that `ASSAY_RAY_ADDRESS` names."""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from service.errors import ConfigurationError, EngineError
from service.settings import Settings

OBJECT_STORE_BYTES = 96 * 2**20
"""Rows and names alone pass through Ray's shared memory; media stay on disk."""
HEAD_SECONDS = 5
"""A head that does not answer for this long is gone: whoever depends on it ends and is started again."""

_ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",  # two jobs that fail alike are two lines
    "RAY_COLOR_PREFIX": "0",
}
_OWN = {
    # "No cluster" is how Ray is told to bind 127.0.0.1 instead of every interface.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}


@contextmanager
def ray_session(settings: Settings, *, slots: int) -> Iterator[Any]:
    """The connected `ray` module. A Ray of our own has `slots` processor slots and every GPU of the machine,
    listens on loopback alone, and ends with the block, its files with it. In a session, the session itself.

    Reports nothing to anybody. Raises `ConfigurationError` where Ray is not installed, `EngineError` where it
    does not start or answer.
    """
    started = sys.modules.get("ray")  # not imported before the variables are set: it reads them then
    if started is not None and started.is_initialized():
        yield started
        return
    os.environ.update(_ALWAYS)
    with ExitStack() as stack:
        if settings.ray_address:
            where: dict[str, Any] = {"address": settings.ray_address}
        else:
            os.environ.update(_OWN, RAY_AUTH_TOKEN=secrets.token_hex(32))
            where = {
                "address": "local",
                "num_cpus": slots,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": stack.enter_context(_folder()),
                "_system_config": {"gcs_rpc_server_reconnect_timeout_s": HEAD_SECONDS},
            }
        ray = _ray()
        stack.callback(ray.shutdown)
        try:
            ray.init(**where, namespace="assay", logging_level=logging.ERROR)
        except Exception as error:  # Ray raises bare exceptions here
            place = settings.ray_address or "this machine"
            raise EngineError(f"Ray on {place} cannot be used: {str(error).strip()}") from error
        yield ray


def hide_main() -> None:
    """Let the limited processes of `service.isolate` not import the main module of a Ray worker: it loads
    Ray, which takes a second for every file."""
    sys.modules["__main__"].__dict__.pop("__file__", None)


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ConfigurationError("the engine ray needs Ray: pip install 'assay[ray]'") from error


def _folder() -> tempfile.TemporaryDirectory[str]:
    # Short: Ray puts sockets into it, whose paths may have 107 bytes. Processes may still write as it goes.
    return tempfile.TemporaryDirectory(prefix="assay-ray-", dir="/tmp", ignore_cleanup_errors=True)
