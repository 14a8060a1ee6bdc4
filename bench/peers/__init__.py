"""The engines that are compared, each behind the same small face.

Kept empty on purpose: Temporal's sandbox imports this package again for every run,
so whatever it imported would be measured as workflow latency.
"""
