"""How a worker runs workflows: what a Replayer needs to run them just the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import temporalio.workflow
from temporalio.worker import Interceptor, Plugin, Worker


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """Workflow classes and everything that has a part in running them.

    Attributes:
        workflows: The classes by type; the dynamic one under None.
        options: What a Replayer needs besides the classes.
        plugins: Whose contexts are open while a worker or Replayer runs.
        task_queue: Namespace and name of what it serves; None where not known.
    """

    workflows: Mapping[str | None, type]
    options: Mapping[str, Any] = field(default_factory=dict)
    plugins: Sequence[Plugin] = ()
    task_queue: tuple[str, str] | None = None

    @staticmethod
    def of_classes(*workflows: type, **options: Any) -> Code:
        """The code of a worker that this process has never seen."""
        return Code(_by_type(workflows), options)

    @staticmethod
    def of_worker(worker: Worker) -> Code:
        """The code of a worker, as its plugins have left it."""
        config = worker.config(active_config=True)
        client = worker.client.config(active_config=True)
        of_client = [i for i in client["interceptors"] if isinstance(i, Interceptor)]
        options = {
            "workflow_runner": config["workflow_runner"],
            "unsandboxed_workflow_runner": config["unsandboxed_workflow_runner"],
            "namespace": client["namespace"],
            "data_converter": client["data_converter"],
            "interceptors": [*of_client, *config["interceptors"]],
            "workflow_failure_exception_types": config[
                "workflow_failure_exception_types"
            ],
            # The history is judged, not the machine: no deadlock is seen in a slow one.
            "debug_mode": True,
            "disable_safe_workflow_eviction": config["disable_safe_workflow_eviction"],
            "header_codec_behavior": client["header_codec_behavior"],
        }
        return Code(
            _by_type(config["workflows"]),
            options,
            worker._plugins,
            (client["namespace"], worker.task_queue),
        )

    def serves(self, namespace: str, task_queue: str, workflow_type: str) -> bool:
        """Whether a worker with this code could have served such a run."""
        known = workflow_type in self.workflows or None in self.workflows
        return known and self.task_queue in (None, (namespace, task_queue))

    def class_for(self, workflow_type: str) -> type:
        """The class that runs the type."""
        return self.workflows.get(workflow_type) or self.workflows[None]


def _by_type(workflows: Sequence[type]) -> dict[str | None, type]:
    definition = temporalio.workflow._Definition.must_from_class
    return {definition(workflow).name: workflow for workflow in workflows}
