"""The language, the workflow that understands it, and its activities."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Union

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

TASK_QUEUE = "dsl"


@dataclass
class ActivityInvocation:
    name: str
    arguments: list[str] = field(default_factory=list)
    result: str | None = None


@dataclass
class ActivityStatement:
    activity: ActivityInvocation


@dataclass
class Sequence:
    elements: list["Statement"]


@dataclass
class SequenceStatement:
    sequence: Sequence


@dataclass
class Parallel:
    branches: list["Statement"]


@dataclass
class ParallelStatement:
    parallel: Parallel


Statement = Union[ActivityStatement, SequenceStatement, ParallelStatement]  # noqa: UP007


@dataclass
class Program:
    root: Statement
    variables: dict[str, str] = field(default_factory=dict)


@workflow.defn
class DSLWorkflow:
    def __init__(self) -> None:
        self._variables: dict[str, str] = {}

    @workflow.run
    async def run(self, program: Program) -> dict[str, str]:
        self._variables = dict(program.variables)
        await self._execute(program.root)
        return self._variables

    async def _execute(self, statement: Statement) -> None:
        if isinstance(statement, SequenceStatement):
            for element in statement.sequence.elements:
                await self._execute(element)
        elif isinstance(statement, ParallelStatement):
            branches = statement.parallel.branches
            await asyncio.gather(*(self._execute(branch) for branch in branches))
        else:
            await self._invoke(statement.activity)

    async def _invoke(self, invocation: ActivityInvocation) -> None:
        result = await workflow.execute_activity(
            invocation.name,
            args=[self._variables.get(name, "") for name in invocation.arguments],
            start_to_close_timeout=timedelta(minutes=1),
            result_type=str,
        )
        if invocation.result:
            self._variables[invocation.result] = result


@activity.defn
async def join(first: str, second: str) -> str:
    return f"{first}+{second}"


@activity.defn
async def shout(text: str) -> str:
    return text.upper()


async def main() -> None:
    async with await connect() as client:
        await Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[DSLWorkflow],
            activities=[join, shout],
        ).run()


if __name__ == "__main__":
    asyncio.run(main())
