-- How many activities of a task queue may begin now under its rate; they count as begun.
-- Index: primary key.
INSERT INTO {schema}.dbosify_rates AS r (task_queue, full_at, allowed)
VALUES (
  %(task_queue)s,
  %(now)s + LEAST(%(limit)s, floor(%(burst)s)) / %(rate)s::float8,
  LEAST(%(limit)s, floor(%(burst)s))
)
ON CONFLICT (task_queue) DO UPDATE
SET full_at = GREATEST(r.full_at, %(now)s) + LEAST(%(limit)s, GREATEST(0, floor(
      %(burst)s - (GREATEST(r.full_at, %(now)s) - %(now)s) * %(rate)s
    ))) / %(rate)s::float8,
    allowed = LEAST(%(limit)s, GREATEST(0, floor(
      %(burst)s - (GREATEST(r.full_at, %(now)s) - %(now)s) * %(rate)s
    )))
RETURNING allowed, full_at
