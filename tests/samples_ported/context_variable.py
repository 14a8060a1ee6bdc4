"""The variable that is propagated; the sandbox must not make another of it."""

from contextvars import ContextVar

user_id: ContextVar[str] = ContextVar("user_id", default="nobody")
