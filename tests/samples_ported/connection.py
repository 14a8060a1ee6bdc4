"""Where all of these programs connect to: what the environment says."""

from typing import Any

from dbosify.client import Client
from dbosify.envconfig import ClientConfig


async def connect(**options: Any) -> Client:
    """A client of the address in `TEMPORAL_ADDRESS`, with further options."""
    config: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    config.setdefault("target_host", "localhost:7233")
    return await Client.connect(**{**config, **options})
