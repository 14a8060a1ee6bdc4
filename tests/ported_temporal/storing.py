"""Drivers of external storage that keep everything in memory."""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any

from dbosify.api.common.v1 import Payload
from dbosify.client import Client
from dbosify.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)
from dbosify.exceptions import ApplicationError


class InMemoryDriver(StorageDriver):
    """Counts its calls, and remembers for whom it stored what."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._kept: dict[str, bytes] = {}
        self.store_calls = 0
        self.retrieve_calls = 0
        self.contexts: list[StorageDriverStoreContext] = []

    def name(self) -> str:
        return self._name

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        self.store_calls += 1
        claims = []
        for payload in payloads:
            self.contexts.append(context)
            key = str(uuid.uuid4())
            self._kept[key] = payload.SerializeToString()
            claims.append(StorageDriverClaim({"key": key}))
        return claims

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        self.retrieve_calls += 1
        return [self._get(claim.claim_data["key"]) for claim in claims]

    def _get(self, key: str) -> Payload:
        if key not in self._kept:
            raise ApplicationError("Payload not found", non_retryable=True)
        return Payload.FromString(self._kept[key])


class LosingDriver(InMemoryDriver):
    """Gives nothing back."""

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        return []


class FullDriver(InMemoryDriver):
    """Takes nothing."""

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        return []


class NoBucketDriver(InMemoryDriver):
    """Finds out late that it has nowhere to look."""

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        raise ApplicationError(
            "bucket not found", type="BucketNotFoundError", non_retryable=True
        )


def with_storage(
    client: Client, *drivers: StorageDriver, threshold: int = 1024, **options: Any
) -> Client:
    """The same client, with these drivers for payloads of so many bytes."""
    config: Any = client.config()
    config["data_converter"] = dataclasses.replace(
        DataConverter.default,
        external_storage=ExternalStorage(
            drivers=drivers, payload_size_threshold=threshold, **options
        ),
    )
    return Client(**config)
