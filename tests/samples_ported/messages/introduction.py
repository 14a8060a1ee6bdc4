"""Queries, a signal, and updates with a validator and with an activity."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from dbosify import activity, workflow
from dbosify.exceptions import ApplicationError

TASK_QUEUE = "messages-introduction"


class Language(IntEnum):
    ARABIC = 1
    CHINESE = 2
    ENGLISH = 3
    FRENCH = 4
    HINDI = 5
    PORTUGUESE = 6
    SPANISH = 7


GREETINGS = {
    Language.ARABIC: "مرحبا بالعالم",
    Language.CHINESE: "你好，世界",
    Language.ENGLISH: "Hello, world",
    Language.FRENCH: "Bonjour, monde",
    Language.HINDI: "नमस्ते दुनिया",
    Language.PORTUGUESE: "Olá mundo",
    Language.SPANISH: "Hola mundo",
}
SUPPORTED = (Language.CHINESE, Language.ENGLISH)


@dataclass
class LanguagesInput:
    include_unsupported: bool


@dataclass
class Approval:
    name: str


@activity.defn
async def call_greeting_service(language: Language) -> str | None:
    return GREETINGS.get(language)


@workflow.defn
class GreetingWorkflow:
    def __init__(self) -> None:
        self._approver: str | None = None
        self._greetings = {
            language.value: GREETINGS[language] for language in SUPPORTED
        }
        self._language = Language.ENGLISH
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(
            lambda: self._approver is not None and workflow.all_handlers_finished()
        )
        return self._greetings[self._language]

    @workflow.query
    def languages(self, wanted: LanguagesInput) -> list[Language]:
        if wanted.include_unsupported:
            return sorted(Language)
        return sorted(Language(language) for language in self._greetings)

    @workflow.query
    def language(self) -> Language:
        return self._language

    @workflow.signal
    def approve(self, approval: Approval) -> None:
        self._approver = approval.name

    @workflow.update
    def set_language(self, language: Language) -> Language:
        previous, self._language = self._language, language
        return previous

    @set_language.validator
    def check_language(self, language: Language) -> None:
        if language not in self._greetings:
            raise ValueError(f"{language.name} is not supported")

    @workflow.update
    async def set_language_anyhow(self, language: Language) -> Language:
        if language not in self._greetings:
            # One at a time, so that the last to ask has the last word.
            async with self._lock:
                greeting = await workflow.execute_activity(
                    call_greeting_service,
                    language,
                    start_to_close_timeout=timedelta(seconds=10),
                )
                if greeting is None:
                    raise ApplicationError(f"nobody speaks {language.name}")
                self._greetings[language] = greeting
        previous, self._language = self._language, language
        return previous
