"""The one activity of the benchmark: it does nothing, so only the engine is timed."""

from temporalio import activity


async def echo(value: int) -> int:
    """Give the value back."""
    return value


echo_activity = activity.defn(name="echo")(echo)
