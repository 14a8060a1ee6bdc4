"""A coroutine outside of the test module, for stack traces over more than one file."""

from dbosify import workflow


async def wait_elsewhere() -> None:
    """Never come back."""
    await workflow.wait_condition(lambda: False)  # the line that a trace shows
