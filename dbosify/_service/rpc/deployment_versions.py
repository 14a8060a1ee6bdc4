"""The versions of worker deployments: created, shown, noted on, deleted."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    CreateWorkerDeploymentVersionRequest,
    CreateWorkerDeploymentVersionResponse,
    DeleteWorkerDeploymentVersionRequest,
    DeleteWorkerDeploymentVersionResponse,
    DescribeWorkerDeploymentVersionRequest,
    DescribeWorkerDeploymentVersionResponse,
    UpdateWorkerDeploymentVersionMetadataRequest,
    UpdateWorkerDeploymentVersionMetadataResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from dbosify._service import deploying, deployment_checks, errors, validate
from dbosify._service.context import Context
from dbosify._store import deployments


async def create_worker_deployment_version(
    context: Context, request: CreateWorkerDeploymentVersionRequest
) -> CreateWorkerDeploymentVersionResponse:
    """Add a version to a deployment before any worker of it is there."""
    asked = request.deployment_version
    name = deployment_checks.new_name(asked.deployment_name)
    build_id = deployment_checks.new_build_id(asked.build_id)
    if request.HasField("compute_config"):
        raise errors.unimplemented("dbosify starts no workers")
    now = context.around.now()
    fresh = deploying.new_version(name, build_id, validate.clean(request.identity), now)
    fresh.request_id = validate.clean(request.request_id)
    async with context.database.transaction() as connection:
        found = await deployments.find(connection, context.database, name)
        if found is None:
            raise deploying.deployment_not_found(name)
        version = found.version(build_id)
        if version is None:
            await deployments.create_version(connection, context.database, name, fresh)
        elif not fresh.request_id or version.request_id != fresh.request_id:
            raise errors.error(
                RPCStatusCode.ALREADY_EXISTS,
                f'Worker Deployment Version "{name}.{build_id}" already exists',
            )
    return CreateWorkerDeploymentVersionResponse()


async def describe_worker_deployment_version(
    context: Context, request: DescribeWorkerDeploymentVersionRequest
) -> DescribeWorkerDeploymentVersionResponse:
    """A version, and the task queues that its workers serve."""
    if not request.version and not request.HasField("deployment_version"):
        raise errors.invalid("deployment version cannot be empty")
    name, build_id = deployment_checks.named(
        request.deployment_version, request.version
    )
    async with context.database.transaction() as connection:
        found = await deployments.find(connection, context.database, name)
    version = found.version(build_id) if found else None
    if found is None or version is None:
        raise errors.not_found("Worker Deployment Version not found")
    response = DescribeWorkerDeploymentVersionResponse(
        worker_deployment_version_info=deploying.shown_version(
            found, version, context.around.now()
        )
    )
    for kind, queue in version.queues:
        response.version_task_queues.add(name=queue, type=kind)
    return response


async def delete_worker_deployment_version(
    context: Context, request: DeleteWorkerDeploymentVersionRequest
) -> DeleteWorkerDeploymentVersionResponse:
    """Remove a version that nobody needs; one that is not there is no error."""
    name, build_id = deployment_checks.named(
        request.deployment_version, request.version
    )
    async with context.database.transaction() as connection:
        found = await deployments.find(connection, context.database, name)
        if found is None:
            raise errors.workflow_not_found(
                f"temporal-sys-worker-deployment:{name}", ""
            )
        version = found.version(build_id)
        if version is None:
            return DeleteWorkerDeploymentVersionResponse()
        if deploying.is_used(found, version):
            raise _not_deleted(name, build_id, "it is current or ramping")
        if deploying.drains(found, version) and not request.skip_drainage:
            raise _not_deleted(name, build_id, "it is draining")
        if version.polled:
            raise _not_deleted(name, build_id, "it has active pollers")
        await deployments.save_version(
            connection, context.database, version, deleted=True
        )
        deploying.changed(found, validate.clean(request.identity), context.around.now())
        await deployments.save(connection, context.database, found)
    return DeleteWorkerDeploymentVersionResponse()


def _not_deleted(name: str, build_id: str, why: str) -> RPCError:
    return errors.failed_precondition(
        f"version '{name}:{build_id}' cannot be deleted since {why}"
    )


async def update_worker_deployment_version_metadata(
    context: Context, request: UpdateWorkerDeploymentVersionMetadataRequest
) -> UpdateWorkerDeploymentVersionMetadataResponse:
    """Change what users note about a version."""
    if not request.upsert_entries and not request.remove_entries:
        raise errors.invalid(
            "At least one of remove_entries or upsert_entries must be provided"
        )
    asked = request.deployment_version
    name, build_id = asked.deployment_name, asked.build_id
    if not asked.ByteSize():
        name, _, build_id = request.version.partition(".")
    validate.clean(name + build_id)
    async with context.database.transaction() as connection:
        found = await deployments.find(connection, context.database, name)
        version = found.version(build_id) if found else None
        if version is None:
            raise errors.workflow_not_found(
                f"temporal-sys-worker-deployment-version:{name}:{build_id}", ""
            )
        entries = version.info.metadata.entries
        for key, payload in request.upsert_entries.items():
            entries[key].CopyFrom(payload)
        for key in request.remove_entries:
            if key in entries:
                del entries[key]
        version.info.metadata.SetInParent()
        version.info.last_modifier_identity = request.identity
        await deployments.save_version(connection, context.database, version)
    return UpdateWorkerDeploymentVersionMetadataResponse(metadata=version.info.metadata)
