"""The service that is waited for."""


class NotReadyError(Exception):
    """Ask again."""


class Service:
    """Ready at the fifth call."""

    def __init__(self) -> None:
        self._calls = 0

    async def result(self) -> str:
        """The result.

        Raises:
            NotReadyError: there is none yet.
        """
        self._calls += 1
        if self._calls < 5:
            raise NotReadyError(f"call {self._calls} is too early")
        return f"Result after {self._calls} calls"
