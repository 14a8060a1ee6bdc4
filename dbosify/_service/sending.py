"""Sending a message to a run and waking whoever must take it."""

from __future__ import annotations

from typing import Any

from dbosify._store import inboxes
from dbosify._store.inboxes import Message

from .context import Context
from .ending import CANCELLED_BY_DBOS, terminate_run


async def send(
    context: Context, workflow_id: str, run_id: str | None, message: Message
) -> dict[str, Any] | None:
    """Send `message`; see `inboxes.send` for what comes back."""
    run = await inboxes.send(context.database, workflow_id, run_id, message)
    if run is None:
        return None
    if run["inbox"] is None:
        if run["close_time"] is None and run["dbos_status"] == "CANCELLED":
            await terminate_run(
                context,
                run["workflow_uuid"],
                reason=CANCELLED_BY_DBOS,
                identity="dbos",
            )
            run["close_time"] = True
        return run
    if not message.quiet:
        tell_sent(context, run)
    return run


def tell_sent(context: Context, run: dict[str, Any]) -> None:
    """Wake whoever must take a message that a run's inbox has now."""
    if run["dbos_status"] == "PENDING":
        context.around.messaged(run["workflow_uuid"])
    else:
        context.around.run_queued(run["queue_name"])
