"""AES-GCM around every payload."""

import dataclasses
import os
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dbosify.api.common.v1 import Payload
from dbosify.converter import DataConverter, PayloadCodec

ENCODING = b"binary/encrypted"
KEY_ID = b"test-key-id"
NONCE_SIZE = 12


class EncryptionCodec(PayloadCodec):
    """Encrypts with one key; refuses what was encrypted with another."""

    def __init__(self, key: bytes = b"test-key-test-key-test-key-test!") -> None:
        self._cipher = AESGCM(key)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": ENCODING, "encryption-key-id": KEY_ID},
                data=self._encrypt(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Iterable[Payload]) -> list[Payload]:
        return [self._decoded(payload) for payload in payloads]

    def _decoded(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get("encryption-key-id")
        if key_id != KEY_ID:
            raise ValueError(f"unknown key {key_id!r}")
        nonce, data = payload.data[:NONCE_SIZE], payload.data[NONCE_SIZE:]
        return Payload.FromString(self._cipher.decrypt(nonce, data, None))

    def _encrypt(self, data: bytes) -> bytes:
        nonce = os.urandom(NONCE_SIZE)
        return nonce + self._cipher.encrypt(nonce, data, None)


ENCRYPTING = dataclasses.replace(DataConverter.default, payload_codec=EncryptionCodec())
