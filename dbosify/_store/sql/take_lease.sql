-- Enter this process among the live workers.
-- Index: dbosify_workers' primary key.
INSERT INTO {schema}.dbosify_workers (executor_id, identity, host, pid, expires_at)
VALUES (%(executor_id)s, %(identity)s, %(host)s, %(pid)s,
        clock_timestamp() + %(ttl)s * interval '1 second')
ON CONFLICT (executor_id) DO UPDATE SET expires_at = excluded.expires_at
RETURNING (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us
