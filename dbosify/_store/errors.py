"""Why the database can't be used, each in one sentence that its reader can act on.

These reach people who start an application, not people who know dbosify, so they are
raised without the tracebacks of the drivers underneath, and never show a password.
"""

from __future__ import annotations

from .url import DatabaseUrl

OLDEST_POSTGRES = 14
"""The oldest major version that is served.

DBOS's migrations need 13, the first with `gen_random_uuid()` built in; but the Postgres
project stopped fixing 13 in 2025. 14 is the oldest it maintained after that, and the
first that binds the names in a function's body when the function is created, which
`dbosify_now()` relies on.
"""


class StoreError(RuntimeError):
    """The database can't serve as dbosify's store."""

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with the sentence as its only argument, which the
        # subclasses don't take; a process pool then loses the error and hangs.
        return _revive, (type(self), str(self))


def _revive(kind: type[StoreError], sentence: str) -> StoreError:
    return kind.__new__(kind, sentence)


class CannotConnect(StoreError):
    """Nothing answers there, or it refuses this user, or has no such database."""

    def __init__(self, url: DatabaseUrl, reason: str) -> None:
        reason = reason.removeprefix("connection failed: ")
        super().__init__(f"Can't connect to {url.redacted}: {_sentence(reason)}")


class PostgresTooOld(StoreError):
    """The server is older than what DBOS and dbosify need."""

    def __init__(self, url: DatabaseUrl, version: int) -> None:
        super().__init__(
            f"{url.redacted} runs Postgres {version},"
            f" but dbosify needs {OLDEST_POSTGRES} or newer."
        )


class SchemaMissing(StoreError):
    """The tables are absent or of an older version, and may not be migrated here."""

    def __init__(self, url: DatabaseUrl, schema: str) -> None:
        super().__init__(
            f'Schema "{schema}" of {url.redacted} has not been migrated to this version'
            " of dbosify, and migrations are switched off: run `dbosify migrate` as a"
            " role that may create tables, or switch migrations on."
        )


class PoolerInTheWay(StoreError):
    """A pooler in transaction mode can't keep the lock that a migration needs."""

    def __init__(self, url: DatabaseUrl, schema: str) -> None:
        super().__init__(
            f'Schema "{schema}" of {url.redacted} has to be migrated, but a pooler in'
            " transaction mode stands in between: run `dbosify migrate` with a URL that"
            " leads to Postgres itself."
        )


class SchemaTooNew(StoreError):
    """The tables are of a version that this dbosify doesn't know."""

    def __init__(self, url: DatabaseUrl, schema: str) -> None:
        super().__init__(
            f'Schema "{schema}" of {url.redacted} was migrated by a newer version of'
            " dbosify: upgrade dbosify here."
        )


class SchemaTaken(StoreError):
    """The schema belongs to another namespace."""

    def __init__(self, url: DatabaseUrl, schema: str, *, owner: str) -> None:
        super().__init__(
            f'Schema "{schema}" of {url.redacted} holds namespace "{owner}":'
            " give each namespace a schema of its own."
        )


class SchemaDenied(StoreError):
    """The role may not read the tables."""

    def __init__(self, url: DatabaseUrl, schema: str, *, reason: str) -> None:
        super().__init__(
            f'The user of {url.redacted} may not use schema "{schema}":'
            f" {_sentence(reason)}"
        )


class MigrationFailed(StoreError):
    """Postgres refused a step of a migration.

    Args:
        url: of the database.
        schema: that was to be migrated.
        reason: as Postgres put it.
        denied: whether another role might succeed.
    """

    def __init__(
        self, url: DatabaseUrl, schema: str, *, reason: str, denied: bool = False
    ) -> None:
        advice = " Run `dbosify migrate` as a role that may do that." if denied else ""
        super().__init__(
            f'Can\'t migrate schema "{schema}" of {url.redacted}:'
            f" {_sentence(reason)}{advice}"
        )


def _sentence(reason: str) -> str:
    """A driver's message, which may have several lines, as the rest of a sentence."""
    text = " ".join(reason.split())
    return text if text.endswith((".", "?")) else text + "."
