"""New run ids: UUIDs of version 7, as Temporal's server makes them."""

from __future__ import annotations

import os
import uuid


def new_run_id(milliseconds: int) -> str:
    """A run id that sorts by the time it was made.

    Args:
        milliseconds: since 1970.
    """
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76
    value |= (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & 0x3FFFFFFFFFFFFFFF
    return str(uuid.UUID(int=value))
