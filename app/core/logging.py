"""Structured logs: JSON where nobody watches, readable lines on a terminal."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Literal, TextIO, cast

import structlog


class Steady:
    """A stream for logs. One that is full or closed stops no request and no update half way: the line is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write it, or lose it."""
        with suppress(OSError, ValueError):  # ValueError: somebody closed it
            self._stream.write(text)

    def flush(self) -> None:
        """Send what was written."""
        with suppress(OSError, ValueError):  # lost as well
            self._stream.flush()


def configure_logging(level: str = "INFO", style: Literal["auto", "json", "console"] = "auto") -> None:
    """Set up structlog for the process; `auto` writes JSON unless stderr is a terminal."""
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    numeric = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, Steady(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(numeric, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
