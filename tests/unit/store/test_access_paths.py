"""Every way into our tables has its index, and no index is there for nothing."""

from __future__ import annotations

import uuid

import psycopg

from dbosify._store.migrate import ensure_schema
from dbosify._store.url import DatabaseUrl

PLAIN = {
    (
        "dbosify_executions",
        "(COALESCE(close_time, 'infinity'::timestamp with time zone),"
        " start_time, run_id) INCLUDE (close_time, status, workflow_type,"
        " workflow_id)",
    ),
    (
        "dbosify_executions",
        "(run_id) WHERE (search_attributes ? 'TemporalNamespaceDivision'::text)",
    ),
    (
        "dbosify_executions",
        "gin (search_attributes jsonb_path_ops) WHERE (search_attributes IS NOT NULL)",
    ),
    (
        "dbosify_standalone",
        "(COALESCE(close_time, 'infinity'::timestamp with time zone),"
        " start_time, run_id)",
    ),
    (
        "dbosify_standalone",
        "gin (search_attributes jsonb_path_ops) WHERE (search_attributes IS NOT NULL)",
    ),
    (
        "dbosify_standalone_operations",
        "(COALESCE(close_time, 'infinity'::timestamp with time zone),"
        " start_time, run_id)",
    ),
    (
        "dbosify_standalone_operations",
        "gin (search_attributes jsonb_path_ops) WHERE (search_attributes IS NOT NULL)",
    ),
    (
        "dbosify_executions",
        "(expires_at) WHERE ((close_time IS NULL) AND (expires_at IS NOT NULL))",
    ),
    (
        "dbosify_executions",
        "(pinned_to) WHERE ((pinned_to IS NOT NULL) AND (close_time IS NULL))",
    ),
    ("dbosify_executions", "(start_time)"),
    ("dbosify_activities", "(deadline) WHERE (deadline IS NOT NULL)"),
    ("dbosify_activities", "(executor_id) WHERE (executor_id IS NOT NULL)"),
    ("dbosify_activities", "(run_id) WHERE (paused_at IS NOT NULL)"),
    ("dbosify_worker_instances", "(task_queue)"),
    ("dbosify_workers", "(expires_at)"),
    ("dbosify_nexus_operations", "(workflow_uuid)"),
    (
        "dbosify_nexus_operations",
        "(task_queue, due_at) WHERE (due_at IS NOT NULL)",
    ),
    ("dbosify_nexus_operations", "(expires_at) WHERE (expires_at IS NOT NULL)"),
    ("dbosify_outbox", "(due_at)"),
    ("dbosify_batches", "(started_at) WHERE (state = 1)"),
    ("dbosify_queries", "(task_queue, created_at) WHERE (answer IS NULL)"),
    ("notifications", "(destination_uuid) WHERE (NOT consumed)"),
    (
        "dbosify_schedules",
        "(next_look) WHERE ((next_look IS NOT NULL) AND (deleted_at IS NULL))",
    ),
    (
        "dbosify_schedules",
        "(schedule_id) WHERE ((awaited_workflow_ids IS NOT NULL)"
        " AND (deleted_at IS NULL))",
    ),
    (
        "dbosify_schedules",
        "(created_at, schedule_id) WHERE (deleted_at IS NULL)",
    ),
}

UNIQUE = {
    ("dbosify_alembic_version", "(version_num)"),
    ("dbosify_namespace", "(name)"),
    ("dbosify_executions", "(run_id)"),
    ("dbosify_executions", "(workflow_uuid)"),
    ("dbosify_executions", "(workflow_id, run_number)"),
    ("dbosify_executions", "(workflow_id) WHERE (close_time IS NULL)"),
    ("dbosify_activities", "(task_id)"),
    ("dbosify_activities", "(run_id, scheduled_event_id)"),
    ("dbosify_worker_instances", "(instance_key)"),
    ("dbosify_version_sets", "(task_queue)"),
    ("dbosify_workers", "(executor_id)"),
    ("dbosify_queries", "(query_id)"),
    ("dbosify_rates", "(task_queue)"),
    ("dbosify_fairness", "(queue_name, priority, fairness_key)"),
    ("dbosify_queue_configs", "(task_queue, kind)"),
    ("dbosify_nexus_endpoints", "(endpoint_id)"),
    ("dbosify_nexus_endpoints", "(name)"),
    ("dbosify_nexus_operations", "(operation_key)"),
    ("dbosify_outbox", "(entry_id)"),
    ("dbosify_batches", "(job_id)"),
    ("dbosify_schedules", "(schedule_id)"),
    ("dbosify_search_attributes", "(name)"),
    ("dbosify_standalone", "(run_id)"),
    ("dbosify_standalone", "(task_id)"),
    ("dbosify_standalone", "(activity_id, run_number)"),
    ("dbosify_standalone", "(activity_id) WHERE (close_time IS NULL)"),
    ("dbosify_standalone_operations", "(run_id)"),
    ("dbosify_standalone_operations", "(operation_key)"),
    ("dbosify_standalone_operations", "(operation_id, run_number)"),
    ("dbosify_standalone_operations", "(operation_id) WHERE (close_time IS NULL)"),
    ("dbosify_updates", "(run_id, update_id)"),
    ("dbosify_deployments", "(name)"),
    ("dbosify_routes", "(task_queue, kind)"),
    ("dbosify_versions", "(version_id)"),
    ("dbosify_versions", "(deployment, build_id)"),
    ("dbosify_version_queues", "(task_queue, kind, version_id)"),
}

INDEXES = """
SELECT tablename, regexp_replace(indexdef, '^.* USING (btree )?', ''),
       indexdef LIKE 'CREATE UNIQUE%%'
FROM pg_indexes WHERE schemaname = %s AND indexname LIKE 'dbosify%%'
"""


def test_each_access_path_has_its_index(postgres_url: str) -> None:
    schema = f"paths_{uuid.uuid4().hex}"
    ensure_schema(DatabaseUrl.parse(postgres_url), schema=schema, namespace=schema)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        found = connection.execute(INDEXES, [schema]).fetchall()
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())

    assert {(table, path) for table, path, unique in found if not unique} == PLAIN
    assert {(table, path) for table, path, unique in found if unique} == UNIQUE
