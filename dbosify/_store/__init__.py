"""The only code that knows SQL, Postgres and the tables of DBOS.

Everything above it speaks of runs, tasks and messages; everything here is a plain
function over a transaction, so that what has to commit together can be seen in one
place.
"""
