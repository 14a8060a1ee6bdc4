"""An interceptor reports what goes wrong in activities and workflows to Sentry."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import timedelta
from typing import Any

from dbosify import activity, workflow
from dbosify.common import RetryPolicy
from dbosify.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    import sentry_sdk

TASK_QUEUE = "sentry"


def plain(value: Any) -> Any:
    return (
        asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    )


@contextmanager
def reported(kind: str, tags: dict[str, str], given: Any) -> Iterator[None]:
    with sentry_sdk.isolation_scope() as scope:
        scope.set_tags({"temporal.execution_type": kind, **tags})
        try:
            yield
        except Exception as error:
            if given:
                scope.set_context(f"temporal.{kind}.input", plain(given[0]))
            scope.capture_exception(error)
            raise


class ReportingActivities(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        tags = {
            "temporal.activity.type": info.activity_type,
            "temporal.workflow.id": info.workflow_id or "",
        }
        with reported("activity", tags, input.args):
            return await super().execute_activity(input)


class ReportingWorkflows(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        try:
            return await super().execute_workflow(input)
        except Exception as error:
            # What is replayed was reported when it happened.
            if not workflow.unsafe.is_replaying():
                with workflow.unsafe.sandbox_unrestricted():
                    self._report(error, input)
            raise

    def _report(self, error: Exception, input: ExecuteWorkflowInput) -> None:
        info = workflow.info()
        tags = {
            "temporal.workflow.type": info.workflow_type,
            "temporal.workflow.id": info.workflow_id,
        }
        try:
            with reported("workflow", tags, input.args):
                raise error
        except Exception:
            return


class SentryInterceptor(Interceptor):
    def intercept_activity(
        self, next: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        return ReportingActivities(super().intercept_activity(next))

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return ReportingWorkflows


@dataclass
class SentryInput:
    broken: bool


@activity.defn
async def maybe_broken(given: SentryInput) -> str:
    if given.broken:
        raise Exception("Activity failed!")
    return "Working!"


@workflow.defn
class SentryWorkflow:
    @workflow.run
    async def run(self, given: SentryInput) -> str:
        return await workflow.execute_activity(
            maybe_broken,
            given,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
