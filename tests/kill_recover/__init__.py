"""What outlives a worker process that dies, stops, or is told to go.

Worker processes are killed with SIGKILL at every point that the runtime names, in every
scenario that reaches it, and another process that ran all along must finish the runs.
What happened is counted in Postgres, in a table that the activities write to with
connections of their own.

- :mod:`~tests.kill_recover.scenarios` is the code that the workers run;
- :mod:`~tests.kill_recover.cases` says which scenario is killed where;
- :mod:`~tests.kill_recover.program` is the processes, which
  :mod:`~tests.kill_recover.forks` gets from a :mod:`~tests.kill_recover.template`;
  :mod:`~tests.kill_recover.processes` holds their reins;
- :mod:`~tests.kill_recover.arena` brings a victim and a rescuer together, and
  :mod:`~tests.kill_recover.fleet` several processes that serve the same queues;
- :mod:`~tests.kill_recover.disasters` is what befalls a fleet, whose
  :mod:`~tests.kill_recover.journeys` must end all the same; see
  :mod:`~tests.kill_recover.soak` for many of them;
- :mod:`~tests.kill_recover.evidence` says what must be true of the runs afterwards;
- :mod:`~tests.kill_recover.under_fire` kills the workers of many schedules, and
  :mod:`~tests.kill_recover.firing_rules` says what these must have done.
"""
