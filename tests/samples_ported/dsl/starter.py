"""Runs a program."""

import asyncio

from dbosify.converter import value_to_type
from tests.samples_ported.connection import connect
from tests.samples_ported.dsl.worker import TASK_QUEUE, DSLWorkflow, Program

PROGRAM = {
    "variables": {"a": "one", "b": "two"},
    "root": {
        "sequence": {
            "elements": [
                {
                    "parallel": {
                        "branches": [
                            {
                                "activity": {
                                    "name": "shout",
                                    "arguments": ["a"],
                                    "result": "a",
                                }
                            },
                            {
                                "activity": {
                                    "name": "shout",
                                    "arguments": ["b"],
                                    "result": "b",
                                }
                            },
                        ]
                    }
                },
                {
                    "activity": {
                        "name": "join",
                        "arguments": ["a", "b"],
                        "result": "both",
                    }
                },
            ]
        }
    },
}


async def main() -> None:
    async with await connect() as client:
        variables = await client.execute_workflow(
            DSLWorkflow.run,
            value_to_type(Program, PROGRAM),
            id="dsl",
            task_queue=TASK_QUEUE,
        )
    print(variables)


if __name__ == "__main__":
    asyncio.run(main())
