"""How the programs are told where to connect to."""

from pathlib import Path

import pytest

from dbosify.client import Client


@pytest.fixture
def environment(
    client: Client,
    backend_address: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The environment that a program starts in; nobody's own settings get into it.

    It asks for the client only because that one waits until the backend is there.
    """
    monkeypatch.setenv("TEMPORAL_ADDRESS", backend_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", client.namespace)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))
