"""What is logged of workflow tasks: the warnings of Temporal's core, in its words.

The SDK itself logs what workflow code raises. That a task fails because history and
code are at odds, or that it takes long, only the core knows, so nobody else would say
it. What a run was given or gave back is never logged.
"""

from __future__ import annotations

import logging
import os

from dbosify._model.effects import TaskFailed
from dbosify._model.protos import WorkflowTaskFailedCause

logger = logging.getLogger(__name__)

_PREFIX = "WORKFLOW_TASK_FAILED_CAUSE_"
_USUAL_LIMIT = 5


def limit(setting: str | None) -> int:
    """Seconds after which a workflow task is said to take long.

    Args:
        setting: the user's; anything but a whole number of seconds is ignored.
    """
    usable = setting is not None and setting.isascii() and setting.isdigit()
    return int(setting or 0) if usable else _USUAL_LIMIT


LIMIT = limit(os.environ.get("TEMPORAL_WORKFLOW_TASK_DURATION_WARN_SECONDS"))


def failed(run_id: str, failure: TaskFailed) -> None:
    """A workflow task failed; it will be tried again unless it fails the run."""
    cause = WorkflowTaskFailedCause.Name(failure.cause).removeprefix(_PREFIX)
    logger.warning(
        "Failing workflow task of run %s (%s): %s",
        run_id,
        cause,
        failure.failure.message,
        extra={"run_id": run_id},
    )


def done(run_id: str, spent: float) -> None:
    """A workflow task is over, after so many seconds."""
    if spent > LIMIT:
        logger.warning(
            "[TMPRL1104] %s Workflow task duration exceeded %d seconds.",
            run_id,
            LIMIT,
            extra={"run_id": run_id},
        )
