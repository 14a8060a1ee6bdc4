"""Names that tie Temporal's identifiers to DBOS's, and the seed derived from one.

A Temporal run is the DBOS workflow `<workflow id>/<run id>`; an activity that waits
on a queue is the DBOS workflow `<workflow id>/<run id>/activity/<scheduled event id>`,
one without a workflow is `<activity id>/<run id>`, as if it were a run.
Run ids hold no slash, so both can be split again from the right.
"""

from __future__ import annotations

ACTIVITY_QUEUE_PREFIX = "activity:"
"""Keeps activity tasks apart from workflow tasks of an equally named task queue."""

_RUN_ID_LENGTH = 36
_MASK = 0xFFFFFFFFFFFFFFFF


def workflow_uuid(workflow_id: str, run_id: str) -> str:
    """The DBOS id of a run."""
    return f"{workflow_id}/{run_id}"


def run_id_of(uuid: str) -> str:
    """The run id inside the DBOS id of a run."""
    return uuid.rpartition("/")[2]


def workflow_id_of(uuid: str) -> str:
    """The workflow id inside the DBOS id of a run; it may hold slashes itself."""
    return uuid.rpartition("/")[0]


def activity_task_id(uuid: str, scheduled_event_id: int) -> str:
    """The DBOS id of an activity of run `uuid` that went to a queue."""
    return f"{uuid}/activity/{scheduled_event_id}"


def standalone_task_id(activity_id: str, run_id: str) -> str:
    """The DBOS id of an activity that belongs to no workflow."""
    return f"{activity_id}/{run_id}"


def standalone_of(task_id: str) -> tuple[str, str]:
    """The activity id and run id in such an id.

    Raises:
        ValueError: it is the id of something else.
    """
    activity_id, _, run_id = task_id.rpartition("/")
    if not activity_id or len(run_id) != _RUN_ID_LENGTH:
        raise ValueError(task_id)
    return activity_id, run_id


def scheduled_event_id_of(task_id: str) -> int:
    """The number in an activity's DBOS id."""
    return int(task_id.rpartition("/")[2])


def is_task_of_run(task_id: str) -> bool:
    """Whether it is the DBOS id of an activity that belongs to a run."""
    uuid, _, number = task_id.rpartition("/activity/")
    return bool(uuid) and number.isdecimal()


def workflow_uuid_of_task(task_id: str) -> str:
    """The run in an activity's DBOS id.

    Raises:
        ValueError: it is the id of something else.
    """
    if not is_task_of_run(task_id):
        raise ValueError(task_id)
    return task_id.rpartition("/activity/")[0]


def activity_queue(task_queue: str) -> str:
    """The DBOS queue that holds the activity tasks of a Temporal task queue."""
    return ACTIVITY_QUEUE_PREFIX + task_queue


def version_queue(task_queue: str, version_id: int) -> str:
    """The DBOS queue of a version's tasks in a Temporal task queue.

    Args:
        task_queue: its name.
        version_id: of a worker deployment's version; 0 for workers without one.
    """
    return f"/_sys/v{version_id}/{task_queue}" if version_id else task_queue


def random_seed(run_id: str) -> int:
    """The seed that Temporal's core derives from a run id.

    Core hashes the text with Rust's default hasher: SipHash-1-3 with zero keys over
    the UTF-8 bytes and one 0xFF. The official replayer computes the same number, so a
    workflow that drew random values replays there only if ours agrees.
    """
    return _siphash13(run_id.encode() + b"\xff")


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & _MASK
    v1 = _rotate(v1, 13) ^ v0
    v0 = _rotate(v0, 32)
    v2 = (v2 + v3) & _MASK
    v3 = _rotate(v3, 16) ^ v2
    v0 = (v0 + v3) & _MASK
    v3 = _rotate(v3, 21) ^ v0
    v2 = (v2 + v1) & _MASK
    v1 = _rotate(v1, 17) ^ v2
    v2 = _rotate(v2, 32)
    return v0, v1, v2, v3


def _siphash13(data: bytes) -> int:
    state = (
        0x736F6D6570736575,
        0x646F72616E646F6D,
        0x6C7967656E657261,
        0x7465646279746573,
    )
    full = len(data) - len(data) % 8
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, full, 8)]
    words.append(
        int.from_bytes(data[full:].ljust(7, b"\0"), "little")
        | ((len(data) & 0xFF) << 56)
    )
    for word in words:
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = state
    v2 ^= 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3
