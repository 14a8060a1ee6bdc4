-- Renew this process's lease; no row comes back if others took it for dead, or began to.
-- Index: dbosify_workers' primary key, (expires_at).
UPDATE {schema}.dbosify_workers
SET expires_at = clock_timestamp() + %(ttl)s * interval '1 second'
WHERE executor_id = %(executor_id)s AND expires_at > '-infinity'
RETURNING
  (EXTRACT(epoch FROM {schema}.dbosify_now()) * 1000000)::bigint AS now_us,
  EXISTS (
    SELECT FROM {schema}.dbosify_workers dead
    WHERE dead.expires_at < (SELECT clock_timestamp())
  ) AS others_died
