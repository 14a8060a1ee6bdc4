"""What Temporal's own test suite promises, told again against ``dbosify``.

Each test keeps the name of the upstream test whose promise it holds, so that one can
be found from the other. Every module here runs unchanged against a real server too
(``--against temporal``), which keeps the tests honest.
"""
