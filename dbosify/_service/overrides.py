"""Overrides of a run's version: what requests may say, and what they come to mean.

A request may name a version in today's form or in an older one; from here on there is
only today's. Whatever an override says, its version must serve the run's task queue.
"""

from __future__ import annotations

from temporalio.api.workflow.v1 import VersioningOverride
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model.protos import WorkerDeploymentVersion
from dbosify._model.versioning import (
    AUTO_UPGRADE,
    PINNED,
    Versioning,
    pinned_of,
    target_of,
)
from dbosify._store import routing
from dbosify._store.engine import Database

from . import errors, validate

_BEHAVIORS = {0: "Unspecified", PINNED: "Pinned", AUTO_UPGRADE: "AutoUpgrade"}


def settled(override: VersioningOverride) -> VersioningOverride:
    """An override in today's form, checked but for its version.

    Raises:
        RPCError: INVALID_ARGUMENT, with the server's text.
    """
    kind = override.WhichOneof("override")
    if kind is None:
        return _modern(override)
    if kind == "pinned" and not override.pinned.behavior:
        raise errors.invalid(
            "must specify pinned override behavior if override is pinned."
        )
    if kind == "auto_upgrade" and not override.auto_upgrade:
        raise errors.invalid("auto-upgrade override must be true")
    if kind == "one_time" and not override.one_time.HasField(
        "target_deployment_version"
    ):
        raise errors.invalid(
            "must provide target deployment version if override is one-time."
        )
    modern = VersioningOverride()
    modern.CopyFrom(override)
    for name in ("behavior", "deployment", "pinned_version"):
        modern.ClearField(name)
    return modern


def _modern(override: VersioningOverride) -> VersioningOverride:
    if not override.behavior:
        raise errors.invalid("override behavior is required")
    named = override.HasField("deployment") or override.pinned_version
    if override.behavior == AUTO_UPGRADE:
        if named:
            raise errors.invalid("only provide pinned version if behavior is 'PINNED'")
        return VersioningOverride(auto_upgrade=True)
    if override.behavior != PINNED:
        raise errors.invalid(f"override behavior {override.behavior} not recognized")
    if not named:
        raise errors.invalid(
            "must provide deployment (deprecated) or pinned version if behavior is"
            " 'PINNED'"
        )
    version = WorkerDeploymentVersion(
        deployment_name=override.deployment.series_name,
        build_id=override.deployment.build_id,
    )
    if override.pinned_version:
        name, dot, build_id = override.pinned_version.partition(".")
        if not dot:
            raise errors.invalid(
                f'invalid version string "{override.pinned_version}", expected format'
                ' is "<deployment_name>.<build_id>"'
            )
        version = WorkerDeploymentVersion(deployment_name=name, build_id=build_id)
    modern = VersioningOverride()
    modern.pinned.behavior = (
        VersioningOverride.PinnedOverrideBehavior.PINNED_OVERRIDE_BEHAVIOR_PINNED
    )
    modern.pinned.version.CopyFrom(version)
    return modern


def at_start(override: VersioningOverride) -> VersioningOverride:
    """The override of a run that is to be; it must name its version.

    Raises:
        RPCError: INVALID_ARGUMENT, with the server's text.
    """
    modern = settled(override)
    if modern.HasField("pinned") and not modern.pinned.HasField("version"):
        raise errors.invalid("must provide version if override is pinned.")
    return modern


def for_run(
    override: VersioningOverride, run: Versioning, workflow_id: str
) -> VersioningOverride:
    """The override of a run that is there: it may stay pinned where it is.

    Raises:
        RPCError: FAILED_PRECONDITION: it is pinned nowhere.
    """
    if not override.HasField("pinned") or override.pinned.HasField("version"):
        return override
    pinned_to = run.pinned_to
    if pinned_to is None:
        raise errors.failed_precondition(
            "must specify a specific pinned override version because workflow with id"
            f" {workflow_id} has behavior {_BEHAVIORS[run.effective]} and is not yet"
            " pinned to any version"
        )
    whole = VersioningOverride()
    whole.CopyFrom(override)
    whole.pinned.version.CopyFrom(pinned_to)
    return whole


async def check_served(
    database: Database, override: VersioningOverride, task_queue: str
) -> None:
    """Refuse a version whose workers never served the task queue.

    Raises:
        RPCError: FAILED_PRECONDITION, with the server's text.
    """
    version = pinned_of(override) or target_of(override)
    if version is None:
        return
    validate.clean(version.deployment_name + version.build_id)
    if not await routing.serves(database, version, task_queue):
        raise _not_served(version, task_queue)


def _not_served(version: WorkerDeploymentVersion, task_queue: str) -> RPCError:
    return errors.error(
        RPCStatusCode.FAILED_PRECONDITION,
        f"Pinned version '{version.deployment_name}:{version.build_id}' is not present"
        f" in task queue '{task_queue}' of type 'Workflow'",
    )
