"""The conformance report: how much of Temporal dbosify is, counted and held.

Upstream's tests, its samples, its RPCs, commands and jobs, and the names of its SDK are
facts; what became of each stands in manifests and in the code. This package counts,
says what a run of the tests showed, and refuses a figure that is worse than the last.
"""
