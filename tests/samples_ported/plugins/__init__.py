"""Samples on packages that want older releases than those of the other tests.

They have an environment of their own, which `nox -s plugins` makes; elsewhere they are
skipped. The packages import `temporalio` themselves and know no dbosify; models are
scripted, and services are local stand-ins.
"""
