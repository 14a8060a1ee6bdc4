"""Puts what a program measured into a document, between two lines that stand there."""

from __future__ import annotations

from pathlib import Path


def put(document: Path, name: str, text: str) -> None:
    """Replace a report in a document.

    Args:
        document: It has a line that says where the report begins, and one for its end.
        name: Of the report.
        text: What is to stand there, whole lines.

    Raises:
        ValueError: It has no place for that report.
    """
    before, _, after = _parted(document, name)
    begin, end = _lines(name)
    document.write_text(before + begin + text + end + after, encoding="utf-8")


def get(document: Path, name: str) -> str:
    """A report that stands in a document; see :func:`put`."""
    _, text, _ = _parted(document, name)
    return text


def _lines(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"


def _parted(document: Path, name: str) -> tuple[str, str, str]:
    begin, end = _lines(name)
    before, begins, rest = document.read_text(encoding="utf-8").partition(begin)
    text, ends, after = rest.partition(end)
    if not (begins and ends):
        raise ValueError(f"{document} lacks the lines between which {name} stands")
    return before, text, after
