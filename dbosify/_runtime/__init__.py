"""What lives in a process: the DBOS runtime, leases, claims, cached runs, dispatch.

Everything here may be killed at any moment; what must survive is in the store before
anyone hears of it.
"""
