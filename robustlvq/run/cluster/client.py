"""A client of Dask that unpickles nothing and keeps to itself what it logs."""

from __future__ import annotations

import asyncio
import logging
import pickletools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from robustlvq.errors import UsageError

__all__ = ["TROUBLE", "check_address", "close_client", "open_client", "quiet", "why_cancelled"]

TROUBLE = (Exception, asyncio.CancelledError)
"""What Dask raises when a connection breaks while it is used, which can be almost anything."""

LOGGERS = ("distributed", "tornado", "asyncio")


def check_address(address: str) -> None:
    """Refuse what is no address before there is a client, which would hang on it.

    Raises:
        UsageError: It is none, or Dask is not installed.
    """
    try:
        import_module("distributed").comm.get_address_host_port(address)
    except ValueError as error:
        raise UsageError(
            f"{address!r} is not the address of a Dask scheduler ({error}); "
            "give it like tcp://host:8786"
        ) from error
    except ImportError as error:
        raise UsageError(
            "a cluster needs Dask, which is not here: pip install 'robustlvq[distributed]'"
        ) from error


def open_client(address: str, seconds: float) -> Any:
    """A client of the scheduler at an address, which has some seconds to answer."""
    client = import_module("distributed").Client
    with warnings.catch_warnings():
        # It warns of all other versions; those that matter are errors here.
        warnings.simplefilter("ignore")
        opened = client(
            address,
            timeout=seconds,
            set_as_default=False,
            direct_to_workers=False,
            serializers=["dask", "msgpack"],
            deserializers=["msgpack"],
        )
    _refuse_pickles(opened)
    return opened


def close_client(client: Any) -> None:
    """Disconnect, whatever state the connection is in."""
    with suppress(*TROUBLE):
        client.close(timeout=2)


def why_cancelled(future: Any) -> str:
    """Why Dask cancelled a future."""
    try:
        future.result(timeout=1)
    except TROUBLE as error:
        return str(getattr(error, "reason", ""))
    return ""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Dask logs to itself: it logs tracebacks of what is handled here."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in LOGGERS]
    loggers = [logging.getLogger(name) for name in {*names, *LOGGERS}]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


def _refuse_pickles(client: Any) -> None:
    """Keep a client from unpickling what comes along with news of its tasks.

    That is the type of a result, which nobody needs, and the error of a task, of which the
    text is read without building anything from it.
    """
    handlers = getattr(client, "_stream_handlers", {})
    if {"key-in-memory", "task-erred"} <= handlers.keys():
        in_memory, erred = handlers["key-in-memory"], handlers["task-erred"]
        handlers["key-in-memory"] = lambda key=None, **_: in_memory(key=key)
        handlers["task-erred"] = lambda key=None, exception=None, **_: erred(
            key=key, exception=_strings(exception), traceback=None
        )


def _strings(pickled: object) -> str:
    """The first strings in a pickle: of an error, its class and its message."""
    found: list[str] = []
    with suppress(Exception):
        for _, value, _ in pickletools.genops(bytes(pickled)):  # type: ignore[call-overload]
            if isinstance(value, str) and len(found) < 3:
                found.append(value)
    return " ".join(found) or "no message"
