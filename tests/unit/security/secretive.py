"""A workflow that puts one secret wherever payloads go; the sandbox loads this file."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, ApplicationError, ChildWorkflowError

SECRET = "the-name-of-the-cat-is-Hieronymus"
TEN_SECONDS = timedelta(seconds=10)
ONCE_MORE = RetryPolicy(initial_interval=timedelta(milliseconds=1), maximum_attempts=2)


@activity.defn
async def keep(secret: str) -> str:
    """Leaves the secret in a heartbeat and a failure, and then returns it."""
    if activity.info().attempt == 1:
        activity.heartbeat(secret)
        raise ApplicationError(secret, secret)
    return secret


@activity.defn
async def fail(secret: str) -> None:
    """Fails with the secret."""
    raise ApplicationError(secret, secret, non_retryable=True)


@workflow.defn
class Child:
    """Fails with the secret."""

    @workflow.run
    async def run(self, secret: str) -> None:
        """Fails."""
        raise ApplicationError(secret, secret)


@workflow.defn
class Secretive:
    """Everything that takes payloads, once."""

    def __init__(self) -> None:
        """Nobody has told it anything yet."""
        self._told = ""

    @workflow.run
    async def run(self, secret: str) -> str:
        """The secret."""
        workflow.upsert_memo({"later": secret})
        workflow.set_current_details(secret)
        await workflow.wait_condition(lambda: bool(self._told))
        await workflow.sleep(0.001, summary=secret)
        await workflow.execute_local_activity(
            keep, secret, start_to_close_timeout=TEN_SECONDS, retry_policy=ONCE_MORE
        )
        await workflow.execute_activity(
            keep,
            secret,
            start_to_close_timeout=TEN_SECONDS,
            retry_policy=ONCE_MORE,
            summary=secret,
        )
        with suppress(ActivityError):
            await workflow.execute_activity(
                fail, secret, start_to_close_timeout=TEN_SECONDS
            )
        with suppress(ChildWorkflowError):
            await workflow.execute_child_workflow(
                Child.run, secret, memo={"start": secret}, static_summary=secret
            )
        return secret

    @workflow.signal
    def tell(self, secret: str) -> None:
        """Lets it go on."""
        self._told = secret

    @workflow.update
    async def change(self, secret: str) -> str:
        """Gives back what it is given."""
        return secret

    @workflow.query
    def ask(self, secret: str) -> str:
        """Gives back what it is given."""
        return secret
