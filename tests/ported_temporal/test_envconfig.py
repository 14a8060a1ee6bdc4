"""Clients that are connected as a file or the environment says."""

from pathlib import Path
from typing import Any

import pytest

from dbosify.client import Client
from dbosify.envconfig import ClientConfig, ClientConfigProfile

HEADER = "custom-header"


def toml(address: str, *, name: str = "default", more: str = "") -> str:
    """A profile of that name."""
    return (
        f"[profile.{name}]\naddress = '{address}'\nnamespace = 'default'\n{more}\n"
        f"[profile.{name}.grpc_meta]\n{HEADER} = 'from the file'\n"
    )


async def connected(config: Any, against: str) -> Client:
    """A client of that configuration, which works."""
    client = await Client.connect(**config)
    assert await client.service_client.check_health()
    if against == "dbosify":
        await client.close()
    return client


async def test_load_client_connect_config(
    client: Client, backend_address: str, against: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        toml(backend_address) + toml(backend_address, name="custom"), encoding="utf-8"
    )
    environment = {
        "TEMPORAL_ADDRESS": backend_address,
        "TEMPORAL_NAMESPACE": client.namespace,
        "TEMPORAL_GRPC_META_CUSTOM_HEADER": "from the environment",
    }
    cases: dict[str, tuple[dict[str, Any], str | None]] = {
        "default profile": ({}, "from the file"),
        "custom profile": ({"profile": "custom"}, "from the file"),
        "environment": ({"override_env_vars": environment}, "from the environment"),
        "no environment": (
            {"override_env_vars": environment, "disable_env": True},
            "from the file",
        ),
        "no file": (
            {
                "override_env_vars": {
                    **environment,
                    "TEMPORAL_GRPC_META_CUSTOM_HEADER": "",
                },
                "disable_file": True,
            },
            None,
        ),
    }
    for options, header in cases.values():
        config = ClientConfig.load_client_connect_config(
            config_file=str(file), **options
        )
        loaded = await connected(config, against)
        assert loaded.service_client.config.target_host == backend_address
        assert loaded.namespace == client.namespace
        assert loaded.rpc_metadata.get(HEADER) == header


async def test_e2e_basic_development_profile_client_connection(
    client: Client, backend_address: str, against: str
) -> None:
    profile = ClientConfigProfile.load(
        config_source=toml(backend_address, name="development"), profile="development"
    )
    loaded = await connected(profile.to_client_connect_config(), against)
    assert loaded.service_client.config.target_host == backend_address
    assert loaded.namespace == client.namespace
    assert loaded.rpc_metadata[HEADER] == "from the file"


@pytest.mark.only_against(
    "temporal", "a Postgres URL brings its own secrets and takes no API key"
)
async def test_e2e_production_tls_api_key_client_connection(
    client: Client, backend_address: str, against: str
) -> None:
    profile = ClientConfigProfile.load(
        config_source=toml(
            backend_address,
            more="api_key = 'prod-key'\ntls = { disabled = true }",
        )
    )
    loaded = await connected(profile.to_client_connect_config(), against)
    assert loaded.api_key == "prod-key"
    assert loaded.namespace == client.namespace
    assert loaded.rpc_metadata[HEADER] == "from the file"


async def test_e2e_environment_overrides_client_connection(
    client: Client, backend_address: str, against: str
) -> None:
    profile = ClientConfigProfile.load(
        config_source=toml("elsewhere:7233", name="staging"),
        profile="staging",
        override_env_vars={
            "TEMPORAL_ADDRESS": backend_address,
            "TEMPORAL_NAMESPACE": client.namespace,
            "TEMPORAL_GRPC_META_CUSTOM_HEADER": "overridden",
        },
    )
    loaded = await connected(profile.to_client_connect_config(), against)
    assert loaded.service_client.config.target_host == backend_address
    assert loaded.namespace == client.namespace
    assert loaded.rpc_metadata[HEADER] == "overridden"


async def test_e2e_multi_profile_different_client_connections(
    backend_address: str,
) -> None:
    source = "".join(
        toml(backend_address, name=name).replace("'default'", f"'{name}'")
        for name in ("development", "production")
    )
    development, production = [
        await Client.connect(
            **ClientConfigProfile.load(
                config_source=source, profile=name
            ).to_client_connect_config(),
            lazy=True,
        )
        for name in ("development", "production")
    ]
    assert development.service_client is not production.service_client
    assert development.namespace == "development"
    assert production.namespace == "production"
    for each in (development, production):
        assert each.service_client.config.target_host == backend_address
        assert each.api_key is None
        assert each.rpc_metadata[HEADER] == "from the file"
