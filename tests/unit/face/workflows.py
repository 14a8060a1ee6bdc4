"""The workflows that the tests of the face run; the sandbox loads only this file."""

from datetime import timedelta

from dbosify import activity, workflow
from dbosify.exceptions import ApplicationError


@activity.defn
async def greet(name: str) -> str:
    """What greets."""
    return f"Hello, {name}!"


@workflow.defn
class Greeting:
    """Lets an activity greet."""

    @workflow.run
    async def run(self, name: str) -> str:
        """The greeting."""
        return await workflow.execute_activity(
            greet, name, start_to_close_timeout=timedelta(seconds=30)
        )


@workflow.defn
class Patient:
    """Waits for the signal that tells it how to end."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._word: str | None = None

    @workflow.run
    async def run(self) -> str:
        """The word it waited for."""
        await workflow.wait_condition(lambda: self._word is not None)
        return self._word or ""

    @workflow.signal
    def say(self, word: str) -> None:
        """Ends the wait."""
        self._word = word

    @workflow.update
    def tell(self, word: str) -> None:
        """Ends the wait too."""
        self._word = word

    @workflow.query
    def waits(self) -> bool:
        """Whether it still waits."""
        return self._word is None


@workflow.defn
class Sleeper:
    """Sleeps."""

    @workflow.run
    async def run(self, seconds: float) -> None:
        """Seconds."""
        await workflow.sleep(seconds)


@workflow.defn
class Story:
    """One of each: an activity, a timer, a signal; then a result."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._word: str | None = None

    @workflow.run
    async def run(self, name: str) -> dict[str, str]:
        """What was heard on the way."""
        greeting = await workflow.execute_activity(
            greet, name, start_to_close_timeout=timedelta(seconds=30)
        )
        await workflow.sleep(0.01)
        await workflow.wait_condition(lambda: self._word is not None)
        return {"greeting": greeting, "word": self._word or ""}

    @workflow.signal
    def say(self, word: str) -> None:
        """Ends the wait."""
        self._word = word


@workflow.defn
class Failing:
    """Fails at once."""

    @workflow.run
    async def run(self) -> None:
        """Never comes to its end."""
        raise ApplicationError("no luck today", type="NoLuck")


@workflow.defn
class Updated:
    """Keeps its updates waiting until it is told to let them go."""

    def __init__(self) -> None:
        """Nothing is let go yet."""
        self._released = False
        self._ended = False

    @workflow.run
    async def run(self) -> None:
        """Waits for the end."""
        await workflow.wait_condition(lambda: self._ended)

    @workflow.update
    async def keep(self, text: str) -> str:
        """What it was sent, later."""
        await workflow.wait_condition(lambda: self._released)
        return text

    @workflow.signal
    def release(self) -> None:
        """Lets the updates go."""
        self._released = True

    @workflow.signal
    def end(self) -> None:
        """Ends the run."""
        self._ended = True


@workflow.defn
class Several:
    """Greets several at a time."""

    @workflow.run
    async def run(self, count: int) -> list[str]:
        """The greetings."""
        greetings = [
            workflow.start_activity(
                greet, str(number), start_to_close_timeout=timedelta(seconds=30)
            )
            for number in range(count)
        ]
        return [await greeting for greeting in greetings]


@workflow.defn
class Noting:
    """Notes what it hears of, in the order in which it does."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self._notes: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        """Its notes once an activity of any kind has ended and two signals came."""
        ended: str = await workflow.execute_activity(
            "signal_and_end", start_to_close_timeout=timedelta(seconds=30)
        )
        self._notes.append(ended)
        await workflow.wait_condition(lambda: len(self._notes) == 3)
        return self._notes

    @workflow.signal
    def note(self, text: str) -> None:
        """Notes it."""
        self._notes.append(text)
