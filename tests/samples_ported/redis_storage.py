"""Payloads that are too big for a history live in Redis, under their content's hash."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

from dbosify.api.common.v1 import Payload
from dbosify.converter import (
    StorageDriver,
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from dbosify.exceptions import ApplicationError


class Redis(Protocol):
    """What the driver needs of a client."""

    async def set(
        self, name: str, value: bytes, *, ex: int | None = None, nx: bool = False
    ) -> object: ...

    async def get(self, name: str) -> bytes | None: ...


class RedisDriver(StorageDriver):
    """Keeps payloads in Redis.

    Args:
        redis: The client.
        ttl: Seconds for which a payload is kept; for ever unless given.
        prefix: Of all keys.
    """

    def __init__(
        self, redis: Redis, *, ttl: int | None = None, prefix: str = "payloads"
    ) -> None:
        if ttl is not None and ttl <= 0:
            raise ValueError("ttl must be greater than zero")
        self._redis = redis
        self._ttl = ttl
        self._prefix = prefix

    def name(self) -> str:
        return "redis"

    def type(self) -> str:
        return "redis"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        return await asyncio.gather(
            *(self._store(context, payload) for payload in payloads)
        )

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        return await asyncio.gather(*map(self._retrieve, claims))

    async def _store(
        self, context: StorageDriverStoreContext, payload: Payload
    ) -> StorageDriverClaim:
        content = payload.SerializeToString()
        hashed = hashlib.sha256(content).hexdigest()
        key = f"{self._prefix}{place(context)}:d:sha256:{hashed}"
        # What is there under this name is the same.
        await self._redis.set(key, content, ex=self._ttl, nx=True)
        return StorageDriverClaim({"key": key, "hash": hashed})

    async def _retrieve(self, claim: StorageDriverClaim) -> Payload:
        key = claim.claim_data["key"]
        content = await self._redis.get(key)
        if content is None:
            raise ApplicationError(
                f"no payload under {key}",
                type="PayloadNotFoundError",
                non_retryable=True,
            )
        if hashlib.sha256(content).hexdigest() != claim.claim_data["hash"]:
            raise ValueError(f"integrity check failed [key={key}]")
        return Payload.FromString(content)


def place(context: StorageDriverStoreContext) -> str:
    """Whose payload it is, as part of a key."""
    match context.target:
        case StorageDriverWorkflowInfo() as target:
            parts = {"wt": target.type, "wi": target.id, "ri": target.run_id}
        case StorageDriverActivityInfo() as target:
            parts = {"at": target.type, "ai": target.id, "ri": target.run_id}
        case _:
            return ""
    named = {"ns": target.namespace, **parts}
    return "".join(
        f":{name}:{quote(value, safe='') if value else 'null'}"
        for name, value in named.items()
    )
