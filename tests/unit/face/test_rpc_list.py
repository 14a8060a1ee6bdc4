"""Each RPC that a client may call is answered, or refused with a reason."""

import inspect
import re
from typing import Any

import pytest
import temporalio.api.operatorservice.v1.service_pb2
import temporalio.api.testservice.v1.service_pb2
import temporalio.api.workflowservice.v1.service_pb2
import temporalio.bridge.services_generated as generated
from temporalio.api.cloud.cloudservice.v1 import GetUsersRequest

from dbosify._service import registry
from dbosify.client import Client
from dbosify.service import RPCError, RPCStatusCode

STUBS = {
    "workflow_service": generated.WorkflowService,
    "operator_service": generated.OperatorService,
    "test_service": generated.TestService,
}

DESCRIPTORS = {
    "workflow_service": (
        temporalio.api.workflowservice.v1.service_pb2.DESCRIPTOR,
        "WorkflowService",
    ),
    "operator_service": (
        temporalio.api.operatorservice.v1.service_pb2.DESCRIPTOR,
        "OperatorService",
    ),
    "test_service": (
        temporalio.api.testservice.v1.service_pb2.DESCRIPTOR,
        "TestService",
    ),
}

KNOWN = {*registry.IMPLEMENTED, *registry.UNIMPLEMENTED}


def stubs(service: str) -> dict[str, Any]:
    """The methods of a generated service client, by RPC."""
    return {
        name: method
        for name, method in vars(STUBS[service]).items()
        if inspect.iscoroutinefunction(method)
    }


def snake(name: str) -> str:
    """An RPC's name as the SDK spells it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def described(service: str) -> dict[str, Any]:
    """The methods of a service's protobuf descriptor, by RPC."""
    file, name = DESCRIPTORS[service]
    methods = file.services_by_name[name].methods
    return {snake(method.name): method for method in methods}


ALL = [(service, rpc) for service in STUBS for rpc in stubs(service)]
REFUSED = [(service, rpc) for service, rpc in ALL if rpc in registry.UNIMPLEMENTED]


def test_no_rpc_is_both_answered_and_refused() -> None:
    assert not {*registry.IMPLEMENTED} & {*registry.UNIMPLEMENTED}


def test_the_lists_name_each_rpc_of_the_sdk_and_no_other() -> None:
    assert {rpc for _, rpc in ALL} == KNOWN


@pytest.mark.parametrize("service", STUBS)
def test_the_sdk_has_each_rpc_of_the_protocol(service: str) -> None:
    assert stubs(service).keys() == described(service).keys()


@pytest.mark.parametrize("rpc", sorted(registry.IMPLEMENTED))
def test_an_answered_rpc_has_a_function_of_its_name(rpc: str) -> None:
    function = registry.IMPLEMENTED[rpc]
    assert inspect.iscoroutinefunction(function)
    assert function.__name__ == rpc
    requests = {
        method.input_type.name: method.output_type.name
        for service in DESCRIPTORS
        for name, method in described(service).items()
        if name == rpc
    }
    hints = inspect.get_annotations(function, eval_str=True)
    assert {hints["request"].__name__: hints["return"].__name__} == requests


@pytest.mark.parametrize(("service", "rpc"), REFUSED)
async def test_a_refused_rpc_says_so(client: Client, service: str, rpc: str) -> None:
    reason = registry.UNIMPLEMENTED[rpc]
    request = described(service)[rpc].input_type._concrete_class()
    with pytest.raises(RPCError) as caught:
        await getattr(getattr(client, service), rpc)(request, retry=True)
    assert caught.value.status == RPCStatusCode.UNIMPLEMENTED
    ours = f"dbosify does not answer {rpc}: {reason}"
    assert caught.value.message == registry.REFUSED_BY_TEMPORAL.get(rpc, ours)
    assert reason


async def test_the_cloud_is_no_service_of_a_database(client: Client) -> None:
    cloud = generated.CloudService(client.service_client)
    with pytest.raises(RPCError) as caught:
        await cloud.get_users(GetUsersRequest())
    assert caught.value.status == RPCStatusCode.UNIMPLEMENTED
    assert "not a Temporal service" in caught.value.message
