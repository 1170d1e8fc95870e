"""Passes events of the native part to the logger ``rawsink``."""

from __future__ import annotations

import logging

logger = logging.getLogger("rawsink")
logger.addHandler(logging.NullHandler())


def log(level: int, text: str) -> None:
    """Log one event."""
    logger.log(level, "%s", text)
