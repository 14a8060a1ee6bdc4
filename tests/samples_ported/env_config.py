"""Where to connect to may stand in a file, under several names."""

import asyncio
import os
import tempfile
from pathlib import Path

from dbosify.client import Client
from dbosify.envconfig import ClientConfig, ClientConnectConfig

FILE = """
[profile.default]
address = "{address}"

[profile.staging]
address = "{address}"
namespace = "overridden-below"
[profile.staging.grpc_meta]
who = "staging"
"""


def load(address: str) -> tuple[ClientConnectConfig, ClientConnectConfig]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "temporal.toml")
        file.write_text(FILE.format(address=address), encoding="utf-8")
        plain = ClientConfig.load_client_connect_config(config_file=str(file))
        staging = ClientConfig.load_client_connect_config(
            "staging", config_file=str(file)
        )
    return plain, staging


async def main() -> None:
    address = os.environ.pop("TEMPORAL_ADDRESS")
    namespace = os.environ.pop("TEMPORAL_NAMESPACE")
    plain, staging = load(address)
    print("Staging:", staging["namespace"], dict(staging["rpc_metadata"]))
    staging["namespace"] = namespace
    for config in (plain, staging):
        async with await Client.connect(**config) as client:
            print("Connected:", client.namespace == namespace)


if __name__ == "__main__":
    asyncio.run(main())
