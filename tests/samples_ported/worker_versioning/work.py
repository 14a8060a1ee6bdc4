"""The workflows of all versions."""

from datetime import timedelta

from dbosify import activity, workflow
from dbosify.common import VersioningBehavior

DEPLOYMENT = "my-deployment"
TASK_QUEUE = "worker-versioning"


@activity.defn
async def some_activity(called_by: str) -> str:
    return f"some_activity called by {called_by}"


@activity.defn
async def some_incompatible_activity(called_by: str, more_data: str) -> str:
    return f"some_incompatible_activity called by {called_by} with {more_data}"


class _Asked:
    """Does an activity whenever it is signalled, until it is told to conclude."""

    def __init__(self) -> None:
        self._signals: list[str] = []
        self.done: list[str] = []

    async def serve(self, version: str) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._signals))
            if self._signals.pop(0) == "conclude":
                return
            self.done.append(await self.react(version))

    async def react(self, version: str) -> str:
        return await workflow.execute_activity(
            some_activity, version, start_to_close_timeout=timedelta(seconds=10)
        )

    @workflow.signal
    def do_next(self, signal: str) -> None:
        self._signals.append(signal)


@workflow.defn(
    name="AutoUpgrading", versioning_behavior=VersioningBehavior.AUTO_UPGRADE
)
class AutoUpgradingV1(_Asked):
    @workflow.run
    async def run(self) -> list[str]:
        await self.serve("v1")
        return self.done


@workflow.defn(
    name="AutoUpgrading", versioning_behavior=VersioningBehavior.AUTO_UPGRADE
)
class AutoUpgradingV1b(_Asked):
    """A compatible change: the runs of the first version can go on with it."""

    @workflow.run
    async def run(self) -> list[str]:
        await self.serve("v1b")
        return self.done

    async def react(self, version: str) -> str:
        if not workflow.patched("incompatible"):
            return await super().react(version)
        return await workflow.execute_activity(
            some_incompatible_activity,
            args=[version, "hello!"],
            start_to_close_timeout=timedelta(seconds=10),
        )


@workflow.defn(name="Pinned", versioning_behavior=VersioningBehavior.PINNED)
class PinnedV1(_Asked):
    @workflow.run
    async def run(self) -> list[str]:
        await self.serve("v1")
        return self.done


@workflow.defn(name="Pinned", versioning_behavior=VersioningBehavior.PINNED)
class PinnedV2(_Asked):
    """An incompatible change: only new runs can begin with it."""

    @workflow.run
    async def run(self) -> list[str]:
        await self.serve("v2")
        return self.done

    async def react(self, version: str) -> str:
        return await workflow.execute_activity(
            some_incompatible_activity,
            args=[version, "hi"],
            start_to_close_timeout=timedelta(seconds=10),
        )


WORKFLOWS = {
    "1.0": [AutoUpgradingV1, PinnedV1],
    "1.1": [AutoUpgradingV1b, PinnedV1],
    "2.0": [AutoUpgradingV1b, PinnedV2],
}
