"""Deleting a run: terminated if it is open, and then gone without a trace."""

from __future__ import annotations

from dbosify._store import runs

from . import errors
from .context import Context
from .ending import end_in, find_run, tell_ended, termination

_REASON = "Delete workflow execution"


async def delete_run(
    context: Context, workflow_id: str, run_id: str | None, identity: str
) -> None:
    """Delete a run.

    Raises:
        RPCError: there is none.
    """
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    uuid = run["workflow_uuid"]
    async with context.database.transaction() as connection:
        ending = await end_in(
            context,
            connection,
            uuid,
            lambda _: termination(context, reason=_REASON, identity=identity),
        )
        await runs.delete(connection, context.database, uuid)
    if ending is not None:
        tell_ended(context, uuid, ending)
