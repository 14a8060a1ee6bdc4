"""What a program written for one class would miss in another.

A deviation may take more than upstream's class and give more back, never less. The
comparison answers with sentences, so a failing test says what to do.
"""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from typing_extensions import Self

Names = Mapping[str, object]

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_UNSAID = inspect.Parameter.empty
_ARGUMENTS_OF_ANY = re.compile(r"\[(?:typing\.Any(?:, )?)+\]")
"""A generic without arguments, as upstream writes some, means the same."""

_METHODS = (types.FunctionType, classmethod, staticmethod, property)


def shortcomings(ours: type, theirs: type, names: Names) -> Iterator[str]:
    """Says in what ``ours`` can't stand in for ``theirs``.

    Args:
        ours: The deviating class.
        theirs: The class it replaces.
        names: What annotations may refer to besides the globals of their function;
            upstream imports some only for type checkers.
    """
    if not issubclass(ours, theirs) or ours is theirs:
        yield f"{ours.__name__} is not a subclass of {theirs.__name__}"
        return
    if not vars(ours).get("__doc__"):
        yield f"{ours.__name__} has no docstring"
    for name in dir(theirs):
        mine = inspect.getattr_static(ours, name)
        upstream = inspect.getattr_static(theirs, name)
        if mine is upstream or not isinstance(upstream, _METHODS):
            continue
        if type(mine) is not type(upstream):
            yield f"{name} is no {type(upstream).__name__}"
            continue
        if not mine.__doc__ and not name.startswith("_"):
            yield f"{name} has no docstring"
        for reason in _call_shortcomings(_function(mine), _function(upstream), names):
            yield f"{name} {reason}"


def _function(method: Any) -> Callable[..., Any]:
    if isinstance(method, property):
        assert method.fget is not None, "a property that can't be read"
        return method.fget
    function: Callable[..., Any] = getattr(method, "__func__", method)
    return function


def _call_shortcomings(
    ours: Callable[..., Any], theirs: Callable[..., Any], names: Names
) -> Iterator[str]:
    if inspect.iscoroutinefunction(ours) != inspect.iscoroutinefunction(theirs):
        yield "is async in only one of the two"
    mine, upstream = _signature(ours, names), _signature(theirs, names)
    positions = list(mine.parameters)
    for position, (name, wanted) in enumerate(upstream.parameters.items()):
        found = mine.parameters.get(name)
        if found is None:
            yield f"has no parameter {name}"
            continue
        if not _same_kind(found, wanted) or (
            wanted.kind in _POSITIONAL and positions[position] != name
        ):
            yield f"takes {name} in another way"
        if found.default is not wanted.default and found.default != wanted.default:
            yield f"has another default for {name}"
        if not _accepts(found.annotation, wanted.annotation):
            yield f"accepts less for {name}"
    for name in mine.parameters.keys() - upstream.parameters.keys():
        added = mine.parameters[name]
        if added.default is _UNSAID and added.kind not in _VARIADIC:
            yield f"demands {name}"
    if not _returns(mine.return_annotation, upstream.return_annotation):
        yield "returns something else"


def _signature(function: Callable[..., Any], names: Names) -> inspect.Signature:
    known = {**names, **inspect.unwrap(function).__globals__}
    hints = typing.get_type_hints(function, globalns=known)
    signature = inspect.signature(function)
    return signature.replace(
        parameters=[
            parameter.replace(annotation=hints.get(name, _UNSAID))
            for name, parameter in signature.parameters.items()
        ],
        return_annotation=hints.get("return", _UNSAID),
    )


def _same_kind(ours: inspect.Parameter, theirs: inspect.Parameter) -> bool:
    # What may be given by keyword only may also be taken by position.
    return ours.kind == theirs.kind or (
        theirs.kind is inspect.Parameter.KEYWORD_ONLY
        and ours.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    )


def _accepts(ours: object, theirs: object) -> bool:
    return theirs is _UNSAID or ours is Any or _members(theirs) <= _members(ours)


def _members(annotation: object) -> set[str]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(annotation) if union else (annotation,)
    return {_ARGUMENTS_OF_ANY.sub("", repr(member)) for member in members}


def _returns(ours: object, theirs: object) -> bool:
    if theirs is _UNSAID or ours is Self or ours == theirs:
        return True
    return (
        isinstance(ours, type) and isinstance(theirs, type) and issubclass(ours, theirs)
    )
