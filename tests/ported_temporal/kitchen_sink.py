"""A workflow that does what its argument tells it to.

Tests of the client care about what happens to a run, not about workflow code; with
this one workflow on a worker of its own, such a test is a script and a few calls.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, TypeVar

from dbosify import workflow
from dbosify.common import RawValue, RetryPolicy
from dbosify.exceptions import ApplicationError

T = TypeVar("T")

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Result:
    """End the run with a value, or with its own run id."""

    value: Any = None
    run_id: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail the run; with ``attempt`` the message says which attempt this was."""

    message: str = ""
    details: Sequence[Any] = field(default_factory=list)
    attempt: bool = False


@dataclass(frozen=True, slots=True)
class ContinueAsNew:
    """Continue as new with the number one lower, until it is zero."""

    while_above_zero: int


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for a timer."""

    millis: int


@dataclass(frozen=True, slots=True)
class EchoQuery:
    """From now on answer queries of this name with their argument."""

    name: str


@dataclass(frozen=True, slots=True)
class AwaitSignal:
    """Wait until a signal of this name has come."""

    name: str


@dataclass(frozen=True, slots=True)
class ExecuteActivity:
    """Run activities at once; end the run with the last one's result."""

    name: str
    task_queue: str | None = None
    args: Sequence[Any] = field(default_factory=list)
    count: int = 1
    index_as_arg: bool = False
    schedule_to_close_millis: int | None = None
    start_to_close_millis: int | None = None
    schedule_to_start_millis: int | None = None
    heartbeat_millis: int | None = None
    cancel_after_millis: int | None = None
    wait_for_cancellation: bool = False
    retry_max_attempts: int = 1
    non_retryable_error_types: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a script: the field that is filled says which."""

    result: Result | None = None
    fail: Fail | None = None
    continue_as_new: ContinueAsNew | None = None
    sleep: Sleep | None = None
    echo_query: EchoQuery | None = None
    await_signal: AwaitSignal | None = None
    execute_activity: ExecuteActivity | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What a run does: its actions, then those that come by signal, if one is named."""

    actions: Sequence[Action] = field(default_factory=list)
    action_signal: str | None = None


@dataclass(frozen=True, slots=True)
class Ending(Generic[T]):
    """The value with which an action ended the run, which may be None."""

    value: T


@workflow.defn(name="kitchen_sink")
class KitchenSinkWorkflow:
    """Follows a script."""

    @workflow.run
    async def run(self, script: Script) -> Any:
        """Take the script's steps until one of them ends the run."""
        for action in script.actions:
            ending = await self._take(script, action)
            if ending is not None:
                return ending.value
        if script.action_signal is None:
            return None
        return await self._follow_signals(script, script.action_signal)

    async def _follow_signals(self, script: Script, signal: str) -> Any:
        arrived: asyncio.Queue[Action] = asyncio.Queue()

        def on_signal(action: Action) -> None:
            arrived.put_nowait(action)

        workflow.set_signal_handler(signal, on_signal)
        while True:
            ending = await self._take(script, await arrived.get())
            if ending is not None:
                return ending.value

    async def _take(self, script: Script, action: Action) -> Ending[Any] | None:
        for name, take in _STEPS.items():
            step = getattr(action, name)
            if step is not None:
                return await take(script, step)
        return None


async def _result(_: Script, step: Result) -> Ending[Any]:
    return Ending(workflow.info().run_id if step.run_id else step.value)


async def _fail(_: Script, step: Fail) -> None:
    message = f"attempt {workflow.info().attempt}" if step.attempt else step.message
    raise ApplicationError(message, *step.details)


async def _continue_as_new(script: Script, step: ContinueAsNew) -> None:
    if step.while_above_zero <= 0:
        return
    lower = Action(continue_as_new=ContinueAsNew(step.while_above_zero - 1))
    workflow.continue_as_new(
        replace(
            script,
            actions=[
                lower if action.continue_as_new == step else action
                for action in script.actions
            ],
        )
    )


async def _sleep(_: Script, step: Sleep) -> None:
    await asyncio.sleep(step.millis / 1000)


async def _echo_query(_: Script, step: EchoQuery) -> None:
    def echo(argument: str) -> str:
        return argument

    workflow.set_query_handler(step.name, echo)


async def _await_signal(_: Script, step: AwaitSignal) -> None:
    came = asyncio.Event()

    def on_signal(_argument: RawValue | None = None) -> None:
        came.set()

    workflow.set_signal_handler(step.name, on_signal)
    await came.wait()


async def _execute_activity(_: Script, step: ExecuteActivity) -> Ending[Any]:
    started = [_start_activity(step, index) for index in range(step.count)]
    if step.cancel_after_millis is not None:
        await asyncio.sleep(step.cancel_after_millis / 1000)
        for handle in started:
            handle.cancel()
    done, _pending = await workflow.wait(started, return_when=asyncio.FIRST_EXCEPTION)
    results = [handle.result() for handle in done]
    return Ending(results[-1])


def _start_activity(step: ExecuteActivity, index: int) -> workflow.ActivityHandle[Any]:
    start_to_close = step.start_to_close_millis
    if start_to_close is None and step.schedule_to_close_millis is None:
        start_to_close = 180_000
    kind = workflow.ActivityCancellationType
    return workflow.start_activity(
        step.name,
        args=[index] if step.index_as_arg else step.args,
        task_queue=step.task_queue,
        schedule_to_close_timeout=_duration(step.schedule_to_close_millis),
        start_to_close_timeout=_duration(start_to_close),
        schedule_to_start_timeout=_duration(step.schedule_to_start_millis),
        heartbeat_timeout=_duration(step.heartbeat_millis),
        cancellation_type=(
            kind.WAIT_CANCELLATION_COMPLETED
            if step.wait_for_cancellation
            else kind.TRY_CANCEL
        ),
        retry_policy=RetryPolicy(
            initial_interval=MILLISECOND,
            backoff_coefficient=1.01,
            maximum_interval=2 * MILLISECOND,
            maximum_attempts=step.retry_max_attempts,
            non_retryable_error_types=step.non_retryable_error_types,
        ),
    )


def _duration(millis: int | None) -> timedelta | None:
    return None if millis is None else millis * MILLISECOND


_STEPS: Mapping[str, Callable[[Script, Any], Awaitable[Ending[Any] | None]]] = {
    "result": _result,
    "fail": _fail,
    "continue_as_new": _continue_as_new,
    "sleep": _sleep,
    "echo_query": _echo_query,
    "await_signal": _await_signal,
    "execute_activity": _execute_activity,
}
