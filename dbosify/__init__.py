"""Temporal's Python SDK on nothing but Postgres: no server, same code.

Importing the package lets a Postgres URL stand wherever a Temporal address may: in
`dbosify.client.Client.connect`, and in the official client of an untouched library.
"""

from dbosify._runtime.transport import install as _install

_install()
