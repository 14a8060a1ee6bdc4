"""Holds dbosify's public face against that of the installed temporalio.

Nothing here lists upstream's modules, names or signatures: they are looked up when the
tests run, so a new release of temporalio fails until the face has followed it. What is
the same object needs no further comparison; what is not is listed with its reason in
``deviations.toml`` and must still take all that upstream's takes.
"""
