"""What becomes of a worker deployment: changes of its routing, and how it is shown.

A change is refused, or does nothing, or gives the deployment another conflict token.
The server asks in that order: is it a change at all, does the caller know the latest
state, and does somebody else hold the deployment as its manager.
"""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.deployment.v1 import (
    WorkerDeploymentInfo,
    WorkerDeploymentVersion,
    WorkerDeploymentVersionInfo,
)
from temporalio.api.enums.v1 import (
    RoutingConfigUpdateState,
    VersionDrainageStatus,
    WorkerDeploymentVersionStatus,
)
from temporalio.service import RPCError

from dbosify._model import clock
from dbosify._model.protos import Timestamp
from dbosify._store.deployments import Deployment, Version

from . import errors

UNVERSIONED = "__unversioned__"
"""How the API calls workers without a version."""

Summary = WorkerDeploymentInfo.WorkerDeploymentVersionSummary
_Status = WorkerDeploymentVersionStatus
_Drainage = VersionDrainageStatus
_MOMENTS = (
    "create_time",
    "current_since_time",
    "ramping_since_time",
    "first_activation_time",
    "last_deactivation_time",
    "last_current_time",
)
"""Times that a version and its summary call by the same name."""


def token_of(deployment: Deployment) -> bytes:
    """The conflict token: it tells a caller's view from an outdated one."""
    return str(deployment.token).encode()


def check_caller(deployment: Deployment, token: bytes, identity: str) -> None:
    """Refuse a change by who does not know the latest state, or is not the manager.

    Raises:
        RPCError: FAILED_PRECONDITION.
    """
    if token and token != token_of(deployment):
        raise errors.failed_precondition("conflict token mismatch")
    manager = deployment.info.manager_identity
    if manager and manager != identity:
        raise errors.failed_precondition(
            f"ManagerIdentity '{manager}' is set and does not match user identity"
            f" '{identity}'; to proceed, set your own identity as the"
            " ManagerIdentity, remove the ManagerIdentity, or wait for the other"
            " client to do so"
        )


def changed(deployment: Deployment, identity: str, now: Timestamp) -> None:
    """The deployment is another one from now on."""
    deployment.token = max(clock.nanoseconds(now), deployment.token + 1)
    deployment.info.last_modifier_identity = identity


def set_current(
    deployment: Deployment, build_id: str, identity: str, now: Timestamp
) -> None:
    """New runs go to a version, or to workers without one if `build_id` is empty."""
    routing = deployment.info.routing_config
    before = deployment.version(routing.current_deployment_version.build_id)
    version = deployment.version(build_id)
    _name(routing, "current", version)
    if before is not version:
        if before is not None:
            _retire(before, now)
        routing.current_version_changed_time.CopyFrom(now)
    if version is not None:
        info = version.info
        if before is not version or not info.HasField("current_since_time"):
            info.current_since_time.CopyFrom(now)
        info.last_current_time.CopyFrom(now)
        info.routing_changed_time.CopyFrom(now)
        if not info.HasField("first_activation_time"):
            info.first_activation_time.CopyFrom(now)
    if routing.ramping_version == routing.current_version:
        _end_ramp(deployment, now)
    routing.revision_number += 1
    changed(deployment, identity, now)


def set_ramping(
    deployment: Deployment, build_id: str, share: float, identity: str, now: Timestamp
) -> None:
    """A share of the runs, in percent, goes to a version beside the current one."""
    routing = deployment.info.routing_config
    version = deployment.version(build_id)
    if version is None and not share:
        _end_ramp(deployment, now)
    else:
        before = deployment.version(routing.ramping_deployment_version.build_id)
        name = routing.ramping_version
        _name(routing, "ramping", version)
        if name != routing.ramping_version:
            if before is not None:
                _retire(before, now)
            routing.ramping_version_changed_time.CopyFrom(now)
        routing.ramping_version_percentage = share
        routing.ramping_version_percentage_changed_time.CopyFrom(now)
        if version is not None:
            info = version.info
            if not info.HasField("ramping_since_time"):
                info.ramping_since_time.CopyFrom(now)
            info.ramp_percentage = share
            info.routing_changed_time.CopyFrom(now)
            if not info.HasField("first_activation_time"):
                info.first_activation_time.CopyFrom(now)
    routing.revision_number += 1
    changed(deployment, identity, now)


def _end_ramp(deployment: Deployment, now: Timestamp) -> None:
    routing = deployment.info.routing_config
    before = deployment.version(routing.ramping_deployment_version.build_id)
    if before is not None:
        if routing.ramping_version == routing.current_version:
            before.info.ClearField("ramping_since_time")
            before.info.ramp_percentage = 0
        else:
            _retire(before, now)
    routing.ClearField("ramping_version")
    routing.ClearField("ramping_deployment_version")
    routing.ramping_version_percentage = 0
    routing.ramping_version_changed_time.CopyFrom(now)
    routing.ramping_version_percentage_changed_time.CopyFrom(now)


def _name(routing: object, which: str, version: Version | None) -> None:
    setattr(
        routing,
        f"{which}_version",
        name_of(version),
    )
    field = f"{which}_deployment_version"
    if version is None:
        routing.ClearField(field)  # type: ignore[attr-defined]
    else:
        getattr(routing, field).CopyFrom(version.info.deployment_version)


def _retire(version: Version, now: Timestamp) -> None:
    """No new runs go to a version."""
    info = version.info
    info.ClearField("current_since_time")
    info.ClearField("ramping_since_time")
    info.ramp_percentage = 0
    info.last_deactivation_time.CopyFrom(now)
    info.routing_changed_time.CopyFrom(now)


def version_string(version: WorkerDeploymentVersion) -> str:
    """A version as older fields of the API name it."""
    return f"{version.deployment_name}.{version.build_id}"


def name_of(version: Version | None) -> str:
    """Who gets runs, as older fields of the API name it: maybe nobody's version."""
    if version is None:
        return UNVERSIONED
    return version_string(version.info.deployment_version)


def is_used(deployment: Deployment, version: Version) -> bool:
    """Whether a version is current or ramping."""
    routing = deployment.info.routing_config
    return version.build_id in (
        routing.current_deployment_version.build_id,
        routing.ramping_deployment_version.build_id,
    )


def drains(deployment: Deployment, version: Version) -> bool:
    """Whether no new runs go to a version, and some are still pinned to it."""
    return not is_used(deployment, version) and version.needed


def shown_version(
    deployment: Deployment, version: Version, now: Timestamp
) -> WorkerDeploymentVersionInfo:
    """All that is told of a version."""
    shown = WorkerDeploymentVersionInfo()
    shown.CopyFrom(version.info)
    shown.version = version_string(version.info.deployment_version)
    shown.status = _status(deployment, version)
    for kind, name in version.queues:
        shown.task_queue_infos.add(name=name, type=kind)
    if version.info.HasField("last_deactivation_time") and not is_used(
        deployment, version
    ):
        _drainage(shown, version, now)
    return shown


def _drainage(
    shown: WorkerDeploymentVersionInfo, version: Version, now: Timestamp
) -> None:
    drainage = shown.drainage_info
    drainage.status = (
        _Drainage.VERSION_DRAINAGE_STATUS_DRAINING
        if version.needed
        else _Drainage.VERSION_DRAINAGE_STATUS_DRAINED
    )
    drainage.last_changed_time.CopyFrom(version.info.last_deactivation_time)
    drainage.last_checked_time.CopyFrom(now)


def _status(
    deployment: Deployment, version: Version
) -> WorkerDeploymentVersionStatus.ValueType:
    routing = deployment.info.routing_config
    if version.build_id == routing.current_deployment_version.build_id:
        return _Status.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT
    if version.build_id == routing.ramping_deployment_version.build_id:
        return _Status.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING
    if version.info.HasField("last_deactivation_time"):
        if version.needed:
            return _Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING
        return _Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINED
    if version.queues:
        return _Status.WORKER_DEPLOYMENT_VERSION_STATUS_INACTIVE
    return _Status.WORKER_DEPLOYMENT_VERSION_STATUS_CREATED


def summary(deployment: Deployment, version: Version, now: Timestamp) -> Summary:
    """What a deployment tells of one of its versions."""
    info = shown_version(deployment, version, now)
    shown = Summary(
        version=info.version,
        deployment_version=info.deployment_version,
        status=info.status,
        drainage_status=info.drainage_info.status,
    )
    if info.HasField("drainage_info"):
        shown.drainage_info.CopyFrom(info.drainage_info)
    for name in _MOMENTS:
        moment = getattr(info, name)
        if moment.ByteSize():
            getattr(shown, name).CopyFrom(moment)
    if info.HasField("routing_changed_time"):
        shown.routing_update_time.CopyFrom(info.routing_changed_time)
    return shown


def summaries(deployment: Deployment, now: Timestamp) -> Sequence[Summary]:
    """What a deployment tells of its versions, the newest first."""
    return [summary(deployment, version, now) for version in deployment.versions]


def shown_deployment(deployment: Deployment, now: Timestamp) -> WorkerDeploymentInfo:
    """All that is told of a deployment."""
    shown = WorkerDeploymentInfo()
    shown.CopyFrom(deployment.info)
    shown.version_summaries.extend(summaries(deployment, now))
    shown.routing_config_update_state = (
        RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED
    )
    return shown


def new_deployment(name: str, identity: str, now: Timestamp) -> Deployment:
    """A deployment without versions."""
    info = WorkerDeploymentInfo(
        name=name, create_time=now, last_modifier_identity=identity
    )
    info.routing_config.current_version = UNVERSIONED
    return Deployment(info, clock.nanoseconds(now))


def new_version(name: str, build_id: str, identity: str, now: Timestamp) -> Version:
    """A version that gets no runs yet."""
    return Version(
        WorkerDeploymentVersionInfo(
            deployment_version=WorkerDeploymentVersion(
                deployment_name=name, build_id=build_id
            ),
            create_time=now,
            last_modifier_identity=identity,
        )
    )


def deployment_not_found(name: str) -> RPCError:
    """No worker of that deployment was ever there."""
    return errors.not_found(
        f"no Worker Deployment found with name '{name}'; does your Worker Deployment"
        " have pollers?"
    )
