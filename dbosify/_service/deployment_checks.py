"""How requests name worker deployments and their versions, with the server's texts."""

from __future__ import annotations

from typing import Protocol

from temporalio.api.deployment.v1 import WorkerDeploymentVersion

from dbosify._model import limits

from . import errors, validate
from .deploying import UNVERSIONED

_RESERVED = "__"


class Choice(Protocol):
    """A request that chooses a version of a deployment, or none."""

    @property
    def deployment_name(self) -> str:
        """Of the deployment."""

    @property
    def build_id(self) -> str:
        """Of the version, in the newer form; empty for none."""

    @property
    def version(self) -> str:
        """The version in the older form: name, delimiter, build id."""


def known_name(name: str) -> str:
    """The name of a deployment that may be there.

    Raises:
        RPCError: there can be none of that name.
    """
    if not name:
        raise errors.invalid("WorkerDeploymentName cannot be empty")
    _size(name, "WorkerDeploymentName")
    return validate.clean(name)


def new_name(name: str) -> str:
    """The name of a deployment that is to be.

    Raises:
        RPCError: it has no such form.
    """
    if not name:
        raise errors.invalid("deployment name cannot be empty")
    _size(name, "WorkerDeploymentName")
    for delimiter in ".:":
        if delimiter in name:
            raise errors.invalid(f"worker deployment name cannot contain '{delimiter}'")
    if name.startswith(_RESERVED):
        raise errors.invalid(f"WorkerDeploymentName cannot start with '{_RESERVED}'")
    return validate.clean(name)


def new_build_id(build_id: str) -> str:
    """The build id of a version that is to be.

    Raises:
        RPCError: it has no such form.
    """
    if not build_id:
        raise errors.invalid("build ID cannot be empty")
    _size(build_id, "BuildID")
    if build_id.startswith(_RESERVED):
        raise errors.invalid(f"BuildID cannot start with '{_RESERVED}'")
    return validate.clean(build_id)


def _size(text: str, what: str) -> None:
    if len(text.encode()) > limits.current.id_bytes:
        raise errors.invalid(f"size of {what} larger than the maximum allowed")


def named(version: WorkerDeploymentVersion, text: str) -> tuple[str, str]:
    """The deployment and the build id that a request names.

    Args:
        version: the newer form.
        text: the older one, looked at if the newer one is empty.

    Raises:
        RPCError: it names none.
    """
    if version.ByteSize():
        text = f"{version.deployment_name}.{version.build_id}"
        name, build_id = version.deployment_name, version.build_id
    else:
        name, _, build_id = text.partition(".")
    if not (name and build_id):
        raise errors.invalid(
            f'invalid version string "{text}", expected format is'
            ' "<deployment_name>.<build_id>"'
        )
    return validate.clean(name), validate.clean(build_id)


def chosen_build(request: Choice) -> str:
    """The build id that a request chooses; empty for workers without a version.

    Raises:
        RPCError: it is not of the deployment that the request names.
    """
    if not request.deployment_name:
        raise errors.invalid("deployment name cannot be empty")
    validate.clean(request.deployment_name)
    if request.build_id or request.version in ("", UNVERSIONED):
        return validate.clean(request.build_id)
    text = validate.clean(request.version)
    delimiter = next((mark for mark in ":." if mark in text), None)
    if delimiter is None:
        raise errors.invalid(
            "invalid version string: expected delimiter ':' or '.' not found in"
            f" version string {text}"
        )
    name, _, build_id = text.partition(delimiter)
    if name != request.deployment_name:
        raise errors.invalid(
            f"invalid version string '{text}' does not match deployment name"
            f" '{request.deployment_name}'"
        )
    return build_id


def percentage(share: float) -> float:
    """The share of the runs that a version is to get, in percent.

    Raises:
        RPCError: it is none.
    """
    if not 0 <= share <= 100:  # NaN is refused too
        raise errors.invalid("Percentage must be between 0 and 100 (inclusive)")
    return share
