"""The replay oracle: Temporal's own Replayer judges every history that a test made.

:mod:`~tests.oracle.watching` sees which runs were started and which workers there
were, :mod:`~tests.oracle.judging` fetches the histories and replays them,
:mod:`~tests.oracle.verdicts` says what came of it. The pytest side of it all is
:mod:`tests.fix_oracle`.
"""
