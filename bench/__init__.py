"""The benchmark: the same workflows on dbosify, on Temporal and on raw DBOS.

A speed claim is worth something only when the other engines were measured on the
same machine in the same hour. `python -m bench` does that and writes the ratios down.
"""
