"""Commands that Temporal's server refuses, with its causes and texts.

A refused command fails the workflow task, not the workflow: the code can be mended and
the task tried again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dbosify._model import clock, failures, limits
from dbosify._model.policies import (
    fill_defaults,
    problem,
    wrong_duration,
    wrong_priority,
)
from dbosify._model.protos import (
    ContinueAsNewWorkflowExecution,
    Duration,
    Failure,
    RetryPolicy,
    ScheduleActivity,
    SearchAttributes,
    StartChildWorkflowExecution,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from dbosify._model.protos import WorkflowExecutionStartedEventAttributes as Started
from dbosify._model.registered import Registered
from dbosify._model.search_attributes import (
    BadAttribute,
    UnknownAttribute,
    settled,
)

from .machines.activity import ActivityMachine
from .machines.timer import TimerMachine

_ACTIVITY = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES
)
_CHAIN = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES
)
_DUPLICATE_ACTIVITY = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID
)
_ATTRIBUTES = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
_TIMER = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES
_DUPLICATE_TIMER = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID
)
_TOLD = 16 * 1024
"""Characters of a text that quotes what is wrong; it is journaled, and logged."""


class BadCommand(Exception):
    """A command the server would refuse.

    Args:
        cause: of the failed workflow task.
        text: the server's, without the cause's name.
    """

    def __init__(self, cause: WorkflowTaskFailedCause.ValueType, text: str) -> None:
        self.cause = cause
        text = f"{_camel(cause)}: {text}" if cause else text
        super().__init__(text if len(text) <= _TOLD else text[:_TOLD] + "...")

    def failure(self) -> Failure:
        """The failure in the WorkflowTaskFailed event."""
        return failures.server(str(self))


def _camel(cause: WorkflowTaskFailedCause.ValueType) -> str:
    name = WorkflowTaskFailedCause.Name(cause)
    words = name.removeprefix("WORKFLOW_TASK_FAILED_CAUSE_").split("_")
    return "".join(word.capitalize() for word in words)


def activity(command: ScheduleActivity, namesake: ActivityMachine | None) -> None:
    """Check a schedule-activity command.

    Args:
        command: as the SDK gives it.
        namesake: the last activity of the run that had its id.

    Raises:
        BadCommand: something is missing, negative or already taken.
    """
    _activity_names(command)
    _activity_policies(command)
    for name, value in (
        ("ScheduleToCloseTimeout", command.schedule_to_close_timeout),
        ("ScheduleToStartTimeout", command.schedule_to_start_timeout),
        ("StartToCloseTimeout", command.start_to_close_timeout),
        ("HeartbeatTimeout", command.heartbeat_timeout),
    ):
        wrong = wrong_duration(value)
        if wrong:
            raise BadCommand(_ACTIVITY, f"invalid {name}: {wrong}")
    if not (
        clock.seconds(command.start_to_close_timeout)
        or clock.seconds(command.schedule_to_close_timeout)
    ):
        raise BadCommand(
            _ACTIVITY,
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the"
            f" activity. ActivityId={command.activity_id}"
            f" ActivityType={command.activity_type}",
        )
    if namesake is not None and namesake.holds_id:
        raise BadCommand(
            _DUPLICATE_ACTIVITY,
            "invalid history builder state for action: add-activitytask-scheduled-event"
            f", ActivityID: {command.activity_id}",
        )


def _activity_names(command: ScheduleActivity) -> None:
    if not command.activity_id:
        raise BadCommand(_ACTIVITY, "activityId is not set")
    if not command.activity_type:
        raise BadCommand(_ACTIVITY, "activityType is not set")
    wrong = wrong_queue(command.task_queue)
    if wrong:
        raise BadCommand(_ACTIVITY, wrong)
    text(_ACTIVITY, "activityId", command.activity_id)
    text(_ACTIVITY, "activityType", command.activity_type)


def _activity_policies(command: ScheduleActivity) -> None:
    wrong = wrong_policy(command)
    if wrong is not None:
        raise BadCommand(_ACTIVITY, wrong)
    wrong = wrong_priority(command.priority)
    if wrong:
        raise BadCommand(_ACTIVITY, f"invalid priorities: {wrong}")


def wrong_policy(
    command: ScheduleActivity
    | ContinueAsNewWorkflowExecution
    | StartChildWorkflowExecution,
) -> str | None:
    """What the server has against a command's retry policy, if there is one."""
    if not command.HasField("retry_policy"):
        return None
    policy = RetryPolicy()
    policy.CopyFrom(command.retry_policy)
    fill_defaults(policy)
    return problem(policy)


def wrong_queue(name: str) -> str:
    """What the server has against a task queue, or an empty text."""
    if not name:
        return "missing task queue name"
    if len(name.encode()) > limits.current.id_bytes:
        return "taskQueue length exceeds limit"
    if name.startswith("/_sys/"):
        return "task queue name cannot start with reserved prefix /_sys/"
    return no_nul("taskQueue") if "\0" in name else ""


def text(
    cause: WorkflowTaskFailedCause.ValueType, what: str, value: str, *, where: str = ""
) -> None:
    """Check a name in a command.

    Args:
        cause: of the failed workflow task.
        what: how the server calls it.
        value: the name.
        where: what the server tells about it if it is too long.

    Raises:
        BadCommand: it is too long for the server, or has what Postgres cannot store.
    """
    size = len(value.encode())
    if size > limits.current.id_bytes:
        raise BadCommand(
            cause,
            f"{what} exceeds length limit.{where} Length={size}"
            f" Limit={limits.current.id_bytes}",
        )
    if "\0" in value:
        raise BadCommand(cause, no_nul(what))


def no_nul(what: str) -> str:
    """What is said of a text that Postgres cannot store."""
    return f"{what}: a NUL character cannot be stored"


def continue_as_new(command: ContinueAsNewWorkflowExecution, run: Started) -> None:
    """Check a continue-as-new command.

    Args:
        command: as the SDK gives it.
        run: the start of the run that ends; what the command leaves out is as there.

    Raises:
        BadCommand: a name is too long or reserved, or a time negative.
    """
    name = "ContinueAsNewWorkflowExecutionCommand"
    kind = command.workflow_type or run.workflow_type.name
    queue = command.task_queue or run.task_queue.name
    where = f" WorkflowType={kind}"
    text(_CHAIN, f"WorkflowType on {name}", kind, where=where)
    where += f' TaskQueue=name:"{queue}" kind:TASK_QUEUE_KIND_NORMAL'
    wrong = wrong_queue(queue)
    if wrong:
        raise BadCommand(_CHAIN, f"error validating {name} TaskQueue: {wrong}.{where}")
    for what, value in (
        ("WorkflowRunTimeout", command.workflow_run_timeout),
        ("WorkflowTaskTimeout", command.workflow_task_timeout),
        ("BackoffStartInterval", command.backoff_start_interval),
    ):
        wrong = wrong_duration(value)
        if wrong:
            raise BadCommand(_CHAIN, f"Invalid {what} on {name}: {wrong}.{where}")
    policy = wrong_policy(command)
    if policy is not None:
        raise BadCommand(
            _CHAIN, f"invalid WorkflowRetryPolicy on {name}: {policy}.{where}"
        )


def search_attributes(fields: Collection[str]) -> None:
    """Check a command that changes search attributes.

    Raises:
        BadCommand: it changes none.
    """
    if not fields:
        raise BadCommand(
            _ATTRIBUTES,
            "IndexedFields is not set on UpsertWorkflowSearchAttributesCommand.",
        )


def attributes_named(
    commands: Iterable[WorkflowCommand], carried: SearchAttributes
) -> set[str]:
    """The search attributes that commands set.

    Args:
        commands: of one completion.
        carried: what the run's next one gets if the command names none.
    """
    named: set[str] = set()
    for command in commands:
        variant = command.WhichOneof("variant")
        if variant == "upsert_workflow_search_attributes":
            upsert = command.upsert_workflow_search_attributes
            named.update(upsert.search_attributes.indexed_fields)
        elif variant == "start_child_workflow_execution":
            child = command.start_child_workflow_execution
            named.update(child.search_attributes.indexed_fields)
        elif variant == "continue_as_new_workflow_execution":
            following = command.continue_as_new_workflow_execution
            named.update(following.search_attributes.indexed_fields)
            if not following.HasField("search_attributes"):
                named.update(carried.indexed_fields)
    return named


def attribute_values(
    attributes: SearchAttributes,
    registered: Registered | None,
    *,
    command: str = "",
    about: str = "",
) -> SearchAttributes:
    """Search attributes that a command sets, with their types.

    Args:
        attributes: of the command.
        registered: None in a replay: what was taken once is not judged again.
        command: in whose text other mistakes than unknown names are wrapped.
        about: the run that it would make.

    Raises:
        BadCommand: one is unknown, or its value does not fit its type.
    """
    if registered is None:
        return attributes
    try:
        return settled(attributes, registered.types, registered.namespace)
    except BadAttribute as error:
        text = str(error)
        if command and not isinstance(error, UnknownAttribute):
            text = f"invalid SearchAttributes on {command}: {text}. {about}"
        raise BadCommand(_ATTRIBUTES, text) from None


def memo(fields: Collection[str]) -> None:
    """Check a command that changes the memo.

    Raises:
        BadCommand: it changes nothing.
    """
    if not fields:
        raise BadCommand(
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES,
            "UpsertedMemo.Fields is not set on ModifyWorkflowPropertiesCommand.",
        )


def patch(patch_id: str) -> None:
    """Check a command that marks a patch; the id becomes a search attribute's value.

    Raises:
        BadCommand: Postgres cannot store it.
    """
    if "\0" in patch_id:
        raise BadCommand(
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES,
            no_nul("patch id"),
        )


def timer(seq: int, delay: Duration, namesake: TimerMachine | None) -> None:
    """Check a start-timer command.

    Args:
        seq: its number, of which its id is made.
        delay: until it fires.
        namesake: the last timer of the run that had its number.

    Raises:
        BadCommand: the duration is negative, or the id is taken.
    """
    wrong = wrong_duration(delay)
    if wrong:
        raise BadCommand(
            _TIMER,
            "An invalid StartToFireTimeout is set on StartTimerCommand:"
            f" {wrong}. TimerId={seq}",
        )
    if namesake is not None and namesake.holds_id:
        raise BadCommand(
            _DUPLICATE_TIMER,
            "invalid history builder state for action: add-timer-started-event,"
            f" TimerID: {seq}",
        )
