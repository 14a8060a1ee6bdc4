"""Programs on packages that import `temporalio` themselves and know no dbosify.

The packages are what they are on PyPI; models are scripted, so nothing is asked over a
network.
"""
