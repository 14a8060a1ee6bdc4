"""A run that ends while its handlers still run, whatever kind they are of."""

from dbosify import workflow


class LeavesHandlers:
    """Ends as soon as one of its handlers has begun; or when all have finished."""

    def __init__(self) -> None:
        self.begun = False
        self.may_finish = False
        self.finished = False

    async def end(self, wait_for_handlers: bool) -> bool:
        """What ``run`` does; tells whether a handler came to its end."""
        await workflow.wait_condition(lambda: self.begun)
        if wait_for_handlers:
            self.may_finish = True
            await workflow.wait_condition(workflow.all_handlers_finished)
        return self.finished

    async def begin_and_wait(self) -> None:
        """What each handler does."""
        self.begun = True
        await workflow.wait_condition(lambda: self.may_finish)
        self.finished = True
