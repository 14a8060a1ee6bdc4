"""What Temporal's server does not do unless it is configured to, it says; so do we."""

import pytest

from dbosify.api import workflowservice
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import Refusal, refusal_of

DEPLOYMENTS = (
    "Deployments are deprecated and no longer supported, use Worker Deployments instead"
)


@pytest.mark.parametrize(
    ("rpc", "text"),
    [
        ("create_workflow_rule", "method CreateWorkflowRule not supported"),
        ("delete_workflow_rule", "method DeleteWorkflowRule not supported"),
        ("describe_workflow_rule", "method DescribeWorkflowRule not supported"),
        ("list_workflow_rules", "method ListWorkflowRules not supported"),
        ("trigger_workflow_rule", "method TriggerWorkflowRule not supported"),
        ("describe_deployment", DEPLOYMENTS),
        ("get_current_deployment", DEPLOYMENTS),
        ("get_deployment_reachability", DEPLOYMENTS),
        ("list_deployments", DEPLOYMENTS),
        ("set_current_deployment", DEPLOYMENTS),
        ("fetch_worker_config", "FetchWorkerConfig command is not enabled."),
        ("update_worker_config", "UpdateWorkerConfig command is not enabled."),
        (
            "poll_workflow_execution_time_skipping",
            "The Time-Skipping feature is not enabled for namespace.",
        ),
    ],
)
async def test_it_is_refused_with_the_servers_words(
    client: Client, rpc: str, text: str
) -> None:
    camel = "".join(word.title() for word in rpc.split("_"))
    request = getattr(workflowservice.v1, f"{camel}Request")(namespace=client.namespace)
    if hasattr(request, "workflow_execution"):
        request.workflow_execution.CopyFrom(WorkflowExecution(workflow_id="any"))
    refusal = await refusal_of(getattr(client.workflow_service, rpc)(request))
    assert refusal == Refusal(RPCStatusCode.UNIMPLEMENTED, text)
