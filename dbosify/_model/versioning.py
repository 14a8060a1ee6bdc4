"""Which version of a worker deployment a run belongs to, as its history tells.

A run is pinned to a version, or follows whatever version its task queue's tasks go to,
or has never run on a versioned worker. What the workflow's code wants, says the worker
with each task that it completes; an override, given at the start or later, goes before.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field

from temporalio.api.workflow.v1 import (
    VersioningOverride,
    WorkflowExecutionVersioningInfo,
)

from dbosify._model.protos import (
    ContinueAsNewVersioningBehavior,
    EventType,
    HistoryEvent,
    VersioningBehavior,
    WorkerDeploymentVersion,
    WorkflowExecutionStartedEventAttributes,
)

PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
AUTO_UPGRADE = VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
_UNSPECIFIED = VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED
_AS_BEFORE = (
    ContinueAsNewVersioningBehavior.CONTINUE_AS_NEW_VERSIONING_BEHAVIOR_UNSPECIFIED
)
_INHERITED = (
    "declined_target_version_upgrade",
    "inherited_auto_upgrade_info",
    "inherited_pinned_version",
    "versioning_override",
)
_CHANGED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
_SHOWN = {PINNED: "Pinned", AUTO_UPGRADE: "AutoUpgrade"}


@dataclass(slots=True)
class Versioning:
    """See the module's text."""

    behavior: VersioningBehavior.ValueType = _UNSPECIFIED
    """What the workflow's code wants, by the last task."""
    version: WorkerDeploymentVersion | None = None
    """Of the worker that completed the last task."""
    override: VersioningOverride | None = None
    used: tuple[WorkerDeploymentVersion, ...] = ()
    """The versions that have completed tasks."""
    _started: WorkflowExecutionStartedEventAttributes = field(
        default_factory=WorkflowExecutionStartedEventAttributes, compare=False
    )

    def learn(self, event: HistoryEvent) -> None:
        """Take in an event; those that say nothing of versions are passed over."""
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                self._start(event.workflow_execution_started_event_attributes)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED:
                updated = event.workflow_execution_options_updated_event_attributes
                if updated.HasField("versioning_override"):
                    self.override = updated.versioning_override
                elif updated.unset_versioning_override:
                    self.override = None
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                self._complete(event)

    def after(self, news: Iterable[HistoryEvent]) -> Versioning:
        """What it is with some more events."""
        changes = [event for event in news if event.event_type == _CHANGED]
        if not changes:
            return self
        later = copy(self)
        for event in changes:
            later.learn(event)
        return later

    def _start(self, started: WorkflowExecutionStartedEventAttributes) -> None:
        self._started = started
        if started.HasField("versioning_override"):
            self.override = started.versioning_override

    def _complete(self, event: HistoryEvent) -> None:
        completed = event.workflow_task_completed_event_attributes
        version = None
        if completed.HasField("deployment_version"):
            version = completed.deployment_version
        self._settle(version, completed.versioning_behavior)

    def _settle(
        self,
        version: WorkerDeploymentVersion | None,
        behavior: VersioningBehavior.ValueType,
    ) -> None:
        self.behavior, self.version = behavior, version
        if version is None:
            self.behavior = _UNSPECIFIED
        elif version not in self.used:
            self.used = (*self.used, version)
        if (
            self.override is not None
            and version is not None
            and version == target_of(self.override)
        ):
            # It was to be moved there once, and is free again.
            self.override = None

    def with_task_of(
        self,
        version: WorkerDeploymentVersion | None,
        behavior: VersioningBehavior.ValueType,
    ) -> Versioning:
        """What it will be when a worker completes the task at hand.

        Args:
            version: of that worker.
            behavior: what the code wants.
        """
        later = copy(self)
        later._settle(version, behavior)
        return later

    @property
    def is_versioned(self) -> bool:
        """Whether versions mean anything to the run."""
        return bool(self.used) or self.override is not None or self._inherits

    @property
    def _inherits(self) -> bool:
        return self._started.HasField("inherited_pinned_version")

    @property
    def pinned_to(self) -> WorkerDeploymentVersion | None:
        """The only version whose workers may have the run."""
        if self.override is not None:
            once = target_of(self.override)
            return pinned_of(self.override) if once is None else once
        if self.version is None and self._inherits:
            return self._started.inherited_pinned_version
        return self.version if self.behavior == PINNED else None

    @property
    def effective(self) -> VersioningBehavior.ValueType:
        """The override's behavior, else what the code wants."""
        if self.override is not None and target_of(self.override) is None:
            return PINNED if pinned_of(self.override) is not None else AUTO_UPGRADE
        if self.version is None and self._inherits:
            return PINNED
        return self.behavior

    def notices(self, target: WorkerDeploymentVersion | None) -> bool:
        """Whether the code is told that new runs go elsewhere, to `target`.

        That is for pinned runs, which would not come to know it; a run that has chosen
        to stay when it continued as new is not told of the same version again.
        """
        if self.override is not None or self.effective != PINNED or target is None:
            return False
        declined = self._started.declined_target_version_upgrade
        return target not in (self.pinned_to, declined.deployment_version)

    def info(self) -> WorkflowExecutionVersioningInfo | None:
        """What describing the run shows of it; None if versions mean nothing to it."""
        if not self.is_versioned:
            return None
        info = WorkflowExecutionVersioningInfo(behavior=self.behavior)
        if self.version is None and self._inherits:
            info.behavior = PINNED
            info.deployment_version.CopyFrom(self._started.inherited_pinned_version)
        if self.version is not None:
            info.deployment_version.CopyFrom(self.version)
        if info.HasField("deployment_version"):
            info.version = _dotted(info.deployment_version)
        if self.override is not None:
            info.versioning_override.CopyFrom(in_both_forms(self.override))
        info.continue_as_new_initial_versioning_behavior = (
            self._started.inherited_auto_upgrade_info
        ).continue_as_new_initial_versioning_behavior
        return info

    def attributes(self) -> dict[str, str | list[str]]:
        """The search attributes by which runs are found by their version."""
        shown = _SHOWN.get(self.effective)
        if not self.is_versioned or shown is None:
            return {}
        version = self.pinned_to or self.version
        build_ids = [f"unversioned:{used.build_id}" for used in self.used]
        found: dict[str, str | list[str]] = {
            "TemporalWorkflowVersioningBehavior": shown,
        }
        if version is not None:
            named = _named(version)
            found["TemporalWorkerDeployment"] = version.deployment_name
            found["TemporalWorkerDeploymentVersion"] = named
            if shown == "Pinned":
                build_ids.insert(0, f"pinned:{named}")
        if self.used:
            found["TemporalUsedWorkerDeploymentVersions"] = [
                _named(used) for used in self.used
            ]
        if build_ids:
            found["BuildIds"] = build_ids
        return found


def _named(version: WorkerDeploymentVersion) -> str:
    return f"{version.deployment_name}:{version.build_id}"


def _dotted(version: WorkerDeploymentVersion) -> str:
    """As older fields of the API name a version."""
    return f"{version.deployment_name}.{version.build_id}"


def pinned_of(override: VersioningOverride) -> WorkerDeploymentVersion | None:
    """The version that an override pins a run to, in whichever form it says so."""
    if override.HasField("pinned"):
        return override.pinned.version
    if override.pinned_version:
        name, _, build_id = override.pinned_version.partition(".")
        return WorkerDeploymentVersion(deployment_name=name, build_id=build_id)
    return None


def target_of(override: VersioningOverride) -> WorkerDeploymentVersion | None:
    """The version that an override moves a run to once."""
    if override.HasField("one_time"):
        return override.one_time.target_deployment_version
    return None


def pin_of(
    started: WorkflowExecutionStartedEventAttributes,
) -> WorkerDeploymentVersion | None:
    """The version that a run is pinned to from its start."""
    begun = Versioning(_started=started)
    if started.HasField("versioning_override"):
        begun.override = started.versioning_override
    return begun.pinned_to


def in_both_forms(override: VersioningOverride) -> VersioningOverride:
    """An override as it is shown: by the older fields too."""
    shown = VersioningOverride()
    shown.CopyFrom(override)
    version = pinned_of(override)
    if version is not None:
        shown.behavior = PINNED
        shown.pinned_version = _dotted(version)
    elif override.HasField("auto_upgrade"):
        shown.behavior = AUTO_UPGRADE
    return shown


def inherit(
    started: WorkflowExecutionStartedEventAttributes,
    versioning: Versioning,
    *,
    pinned: bool = True,
    initial: ContinueAsNewVersioningBehavior.ValueType = _AS_BEFORE,
    declined: WorkerDeploymentVersion | None = None,
) -> None:
    """Let a run that follows another, or is its child, begin where that one is.

    Args:
        started: of the new run; is changed.
        versioning: of the run that it follows.
        pinned: whether it is pinned to a version as that one is; an override always is
            handed on.
        initial: where the new run is to begin instead, if the old one has an opinion.
        declined: the version of which the old one was told, if it stays where it is.
    """
    for name in _INHERITED:
        started.ClearField(name)  # type: ignore[arg-type]
    override, version = versioning.override, versioning.pinned_to
    if override is not None and pinned_of(override) is not None:
        started.versioning_override.CopyFrom(override)
    if not pinned:
        return
    if version is not None and not initial:
        started.inherited_pinned_version.CopyFrom(version)
        if declined is not None:
            upgrade = started.declined_target_version_upgrade
            upgrade.deployment_version.CopyFrom(declined)
    elif versioning.version is not None:
        inherited = started.inherited_auto_upgrade_info
        inherited.source_deployment_version.CopyFrom(versioning.version)
        inherited.continue_as_new_initial_versioning_behavior = initial
