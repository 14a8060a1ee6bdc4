"""Worker deployments: created, shown, listed, deleted, and who gets their new runs."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    CreateWorkerDeploymentRequest,
    CreateWorkerDeploymentResponse,
    DeleteWorkerDeploymentRequest,
    DeleteWorkerDeploymentResponse,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
    ListWorkerDeploymentsRequest,
    ListWorkerDeploymentsResponse,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentCurrentVersionResponse,
    SetWorkerDeploymentManagerRequest,
    SetWorkerDeploymentManagerResponse,
    SetWorkerDeploymentRampingVersionRequest,
    SetWorkerDeploymentRampingVersionResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._model import clock
from dbosify._service import deploying, deployment_checks, errors, validate
from dbosify._service.context import Context
from dbosify._store import deployments
from dbosify._store.deployments import Deployment, Version
from dbosify._store.engine import Connection

_PAGE = 100
_MAX_PAGE = 1000


async def create_worker_deployment(
    context: Context, request: CreateWorkerDeploymentRequest
) -> CreateWorkerDeploymentResponse:
    """Add a deployment before any worker of it is there."""
    name = deployment_checks.new_name(request.deployment_name)
    now = context.around.now()
    fresh = deploying.new_deployment(name, validate.clean(request.identity), now)
    fresh.request_id = validate.clean(request.request_id)
    async with context.database.transaction() as connection:
        created = await deployments.create(
            connection, context.database, fresh, clock.nanoseconds(now)
        )
        if not created:
            found = await deployments.find(connection, context.database, name)
            if found is None or not (
                fresh.request_id and found.request_id == fresh.request_id
            ):
                raise errors.error(
                    RPCStatusCode.ALREADY_EXISTS,
                    f'Worker Deployment with name "{name}" already exists',
                )
            fresh = found
    return CreateWorkerDeploymentResponse(conflict_token=deploying.token_of(fresh))


async def describe_worker_deployment(
    context: Context, request: DescribeWorkerDeploymentRequest
) -> DescribeWorkerDeploymentResponse:
    """A deployment with summaries of its versions."""
    name = deployment_checks.known_name(request.deployment_name)
    async with context.database.transaction() as connection:
        found = await _held(context, connection, name)
    return DescribeWorkerDeploymentResponse(
        conflict_token=deploying.token_of(found),
        worker_deployment_info=deploying.shown_deployment(found, context.around.now()),
    )


async def list_worker_deployments(
    context: Context, request: ListWorkerDeploymentsRequest
) -> ListWorkerDeploymentsResponse:
    """Deployments page by page, the newest first."""
    size = min(request.page_size, _MAX_PAGE) if request.page_size > 0 else _PAGE
    try:
        after = validate.clean(request.next_page_token.decode()) or None
    except UnicodeDecodeError:
        raise errors.invalid("invalid next page token") from None
    found = await deployments.listed(context.database, after, size + 1)
    response = ListWorkerDeploymentsResponse()
    for deployment in found[:size]:
        response.worker_deployments.append(_summary(context, deployment))
    if len(found) > size:
        response.next_page_token = found[size - 1].name.encode()
    return response


def _summary(
    context: Context, deployment: Deployment
) -> ListWorkerDeploymentsResponse.WorkerDeploymentSummary:
    now = context.around.now()
    routing = deployment.info.routing_config
    shown = ListWorkerDeploymentsResponse.WorkerDeploymentSummary(
        name=deployment.name,
        create_time=deployment.info.create_time,
        routing_config=routing,
    )
    for which, version in (
        ("latest", deployment.versions[0] if deployment.versions else None),
        ("current", deployment.version(routing.current_deployment_version.build_id)),
        ("ramping", deployment.version(routing.ramping_deployment_version.build_id)),
    ):
        if version is not None:
            field = getattr(shown, f"{which}_version_summary")
            field.CopyFrom(deploying.summary(deployment, version, now))
    return shown


async def delete_worker_deployment(
    context: Context, request: DeleteWorkerDeploymentRequest
) -> DeleteWorkerDeploymentResponse:
    """Remove a deployment without versions; one that is not there is no error."""
    name = deployment_checks.known_name(request.deployment_name)
    async with context.database.transaction() as connection:
        found = await deployments.find(connection, context.database, name)
        if found is not None and found.versions:
            raise errors.failed_precondition(
                "deployment has versions, can't be deleted"
            )
        await deployments.drop(connection, context.database, name)
    return DeleteWorkerDeploymentResponse()


async def set_worker_deployment_current_version(
    context: Context, request: SetWorkerDeploymentCurrentVersionRequest
) -> SetWorkerDeploymentCurrentVersionResponse:
    """Let new runs, and those that upgrade by themselves, go to a version."""
    build_id = deployment_checks.chosen_build(request)
    async with context.database.transaction() as connection:
        found, version = await _chosen(
            context, connection, request, build_id, create=request.allow_no_pollers
        )
        routing = found.info.routing_config
        response = SetWorkerDeploymentCurrentVersionResponse(
            previous_version=routing.current_version
        )
        if routing.HasField("current_deployment_version"):
            response.previous_deployment_version.CopyFrom(
                routing.current_deployment_version
            )
        name = deploying.name_of(version)
        if (name, request.identity) != (
            routing.current_version,
            found.info.last_modifier_identity,
        ):
            deploying.check_caller(found, request.conflict_token, request.identity)
            deploying.set_current(
                found, build_id, request.identity, context.around.now()
            )
            await _save(context, connection, found)
    await context.around.rerouted()
    response.conflict_token = deploying.token_of(found)
    return response


async def set_worker_deployment_ramping_version(
    context: Context, request: SetWorkerDeploymentRampingVersionRequest
) -> SetWorkerDeploymentRampingVersionResponse:
    """Let a share of the runs that are not pinned go to a version; 0 % of none ends it.

    Runs are told apart by a hash of their workflow id, so each stays on its side.
    """
    build_id = deployment_checks.chosen_build(request)
    share = deployment_checks.percentage(request.percentage)
    async with context.database.transaction() as connection:
        found, version = await _chosen(
            context, connection, request, build_id, create=request.allow_no_pollers
        )
        routing = found.info.routing_config
        response = SetWorkerDeploymentRampingVersionResponse(
            previous_version=routing.ramping_version,
            previous_percentage=routing.ramping_version_percentage,
        )
        if routing.HasField("ramping_deployment_version"):
            response.previous_deployment_version.CopyFrom(
                routing.ramping_deployment_version
            )
        name = deploying.name_of(version)
        if name == routing.current_version and (version is not None or share):
            raise errors.failed_precondition(
                f"requested ramping version {name} is already current"
            )
        if version is None and not share:
            name = ""
        if (name, share, request.identity) != (
            routing.ramping_version,
            routing.ramping_version_percentage,
            found.info.last_modifier_identity,
        ) and (name or routing.ramping_version):
            deploying.check_caller(found, request.conflict_token, request.identity)
            now = context.around.now()
            deploying.set_ramping(found, build_id, share, request.identity, now)
            await _save(context, connection, found)
    await context.around.rerouted()
    response.conflict_token = deploying.token_of(found)
    return response


async def set_worker_deployment_manager(
    context: Context, request: SetWorkerDeploymentManagerRequest
) -> SetWorkerDeploymentManagerResponse:
    """Say who alone may change the deployment's routing from now on."""
    if not request.identity:
        raise errors.invalid("Identity is required")
    manager = request.identity if request.self else request.manager_identity
    validate.clean(manager)
    name = validate.clean(request.deployment_name)
    async with context.database.transaction() as connection:
        found = await deployments.find(connection, context.database, name)
        if found is None:
            raise errors.workflow_not_found(
                f"temporal-sys-worker-deployment:{name}", ""
            )
        if request.conflict_token not in (b"", deploying.token_of(found)):
            raise errors.failed_precondition("conflict token mismatch")
        response = SetWorkerDeploymentManagerResponse(
            previous_manager_identity=found.info.manager_identity
        )
        if manager != found.info.manager_identity:
            found.info.manager_identity = manager
            deploying.changed(found, request.identity, context.around.now())
            await deployments.save(connection, context.database, found)
    response.conflict_token = deploying.token_of(found)
    return response


async def _held(context: Context, connection: Connection, name: str) -> Deployment:
    found = await deployments.find(connection, context.database, name)
    if found is None:
        raise deploying.deployment_not_found(name)
    return found


async def _chosen(
    context: Context,
    connection: Connection,
    request: (
        SetWorkerDeploymentCurrentVersionRequest
        | SetWorkerDeploymentRampingVersionRequest
    ),
    build_id: str,
    *,
    create: bool,
) -> tuple[Deployment, Version | None]:
    """The deployment, held, and the version that a request chooses of it.

    Args:
        context: of the request.
        connection: of the transaction.
        request: one that chooses a version.
        build_id: of that version; empty for none.
        create: whether what is not there is created.
    """
    name, now = request.deployment_name, context.around.now()
    if create:
        deployment_checks.new_name(name)
        fresh = deploying.new_deployment(name, "", now)
        at = clock.nanoseconds(now)
        await deployments.create(connection, context.database, fresh, at)
    found = await _held(context, connection, name)
    if not build_id:
        return found, None
    version = found.version(build_id)
    if version is None and create:
        deployment_checks.new_build_id(build_id)
        version = deploying.new_version(name, build_id, request.identity, now)
        await deployments.create_version(connection, context.database, name, version)
        found.versions.insert(0, version)
    if version is None:
        raise errors.not_found(
            f"build ID '{build_id}' not found in Worker Deployment '{name}'"
        )
    return found, version


async def _save(context: Context, connection: Connection, found: Deployment) -> None:
    for version in found.versions:
        await deployments.save_version(connection, context.database, version)
    await deployments.save(connection, context.database, found)
