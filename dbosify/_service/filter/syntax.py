"""The grammar of list filters: text in, sqlglot's tree out.

sqlglot reads MySQL more generously than Temporal's parser does. So its tokens are
looked over first: whatever stands where the other parser would not take it is refused
with the position that it would give, which counts in bytes from a statement's prefix.
sqlglot is imported when it is needed: most processes never list anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from temporalio.service import RPCError

from dbosify._service import errors

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

MOST_BYTES = 256 * 1024
"""Of a query; the time that it takes to parse more would be missed elsewhere."""

_STATEMENT = "select * from table1 "
_BEFORE_OPERANDS = frozenset({"NOT", "-", "+", "!", "~", "@", ":", "BINARY"})
_COMPARISONS = frozenset(
    {"=", "!=", "<>", "<", "<=", ">", ">=", "<=>", "LIKE", "REGEXP", "RLIKE"}
    | {"STARTS_WITH", "+", "-", "*", "/", "%", "COLLATE"}
)
_CONNECTIVES = frozenset({"AND", "OR", "&&", "||"})
_CLAUSES = frozenset({"ORDER", "GROUP", "HAVING", "LIMIT", "FOR"})
_RESERVED = _CLAUSES | {
    *("AND", "OR", "XOR", "IN", "IS", "LIKE", "REGEXP", "BETWEEN", "NOT", "KEY"),
    *("SELECT", "DISTINCT", "WHERE", "FROM", "UNION", "DROP", "TABLE", "COLLATE"),
    "OFFSET",
}
_LITERALS = frozenset({"STRING", "NUMBER", "IDENTIFIER", "HEX_STRING", "BIT_STRING"})


def invalid_query(reason: str) -> RPCError:
    """The error of a query, however it is wrong."""
    return errors.invalid(f"invalid query: {reason}")


def too_deep() -> RPCError:
    """The error of a query with too many parentheses in each other."""
    return invalid_query("malformed SQL query: it is nested too deeply")


def parse(query: str) -> exp.Select:
    """Parse a query that is not blank.

    Raises:
        RPCError: it is malformed.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if len(query.encode()) > MOST_BYTES:
        raise invalid_query(f"it is longer than {MOST_BYTES} bytes")
    query = query.strip().removesuffix(";").rstrip()
    clauses_only = " ".join(query[:40].upper().split())[:8] in ("GROUP BY", "ORDER BY")
    prefix = _STATEMENT if clauses_only else f"{_STATEMENT}where "
    text = prefix + query
    dialect = sqlglot.Dialect.get_or_raise("mysql")
    try:
        tokens = dialect.tokenize(text)
    except SqlglotError:
        # An open quote: Temporal's parser names what stands after it.
        opened = max(text.rfind(quote) for quote in "'\"`")
        raise _malformed(text, len(text), text[opened + 1 :]) from None
    if not clauses_only:
        _refuse_misplaced(text, [t for t in tokens if t.start >= len(prefix)])
    try:
        trees = dialect.parser().parse([_renamed(token) for token in tokens], text)
    except SqlglotError:
        raise _malformed(text, len(text)) from None
    except RecursionError:
        raise too_deep() from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Select):
        raise _malformed(text, len(text))
    group = trees[0].args.get("group")
    if group is not None and not group.expressions:
        raise _malformed(text, len(text))
    return trees[0]


def _malformed(text: str, end: int, near: str = "") -> RPCError:
    position = len(text[:end].encode()) + 1
    where = f" near '{near}'" if near else ""
    return invalid_query(
        f"malformed SQL query: syntax error at position {position}{where}"
    )


def _renamed(token: Token) -> Token:
    """STARTS_WITH is no word of MySQL's: GLOB stands for it in the tree.

    An exclamation mark means less than NOT does; it is refused like a tilde.
    """
    from sqlglot import TokenType

    if token.token_type.name == "VAR" and token.text.upper() == "STARTS_WITH":
        kind = TokenType.GLOB
    elif token.text == "!" and token.token_type.name == "NOT":
        kind = TokenType.TILDE
    else:
        return token
    return type(token)(
        kind,
        token.text,
        line=token.line,
        col=token.col,
        start=token.start,
        end=token.end,
    )


def _refuse_misplaced(text: str, tokens: Sequence[Token]) -> None:
    words = [_word(text, token) for token in tokens]
    bad = misplaced(words)
    if bad is None:
        return
    if bad == len(tokens):
        raise _malformed(text, len(text))
    token, word = tokens[bad], words[bad]
    near = ""
    if word == "" or word == "$" or _is_name(word):
        near = token.text.lower() if word in _RESERVED else token.text
        if word and near:
            # Words that sqlglot takes for one: GROUP BY, MEMBER OF.
            near = near.split()[0]
            raise _malformed(text, token.start + len(near), near)
    raise _malformed(text, token.end + 1, near)


def _word(text: str, token: Token) -> str:
    """A token as the grammar knows it; all literals and quoted names are alike."""
    if token.token_type.name in _LITERALS:
        return ""
    return text[token.start : token.end + 1].upper().removesuffix(" BY")


def _is_name(word: str) -> bool:
    return word[:1].isalpha() or word[:1] == "_"


def misplaced(words: Sequence[str]) -> int | None:
    """The first word that can't stand where it stands; the end is a place, too.

    Operands and operators take turns. What has a grammar of its own (functions,
    sub-selects, clauses) is left to sqlglot, and to whoever refuses it by name.
    """
    expected, depth, ranges = "operand", 0, 0
    for index, word in enumerate(words):
        if expected == "operator" and word in _CLAUSES | {"(", "."}:
            return index if depth and word in _CLAUSES else None
        if expected == "operand" and (
            word in ("CASE", "EXISTS") or _opens(words, index)
        ):
            return None
        following = _FOLLOWING[expected](word)
        if following is None or (word in (")", ",") and depth == 0):
            return index + (word == ";")
        depth += (word == "(") - (word == ")")
        ranges += (word == "BETWEEN") - (word == "AND" and ranges > 0)
        expected = following
    return len(words) if expected != "operator" or depth or ranges else None


def _opens(words: Sequence[str], index: int) -> bool:
    """Whether a sub-select begins here."""
    return words[index] == "SELECT" and index > 0 and words[index - 1] == "("


def _after_operand(word: str) -> str | None:
    if word in _BEFORE_OPERANDS or word == "(":
        return "operand"
    operand = word in ("", "?") or (_is_name(word) and word not in _RESERVED)
    return "operator" if operand else None


def _after_operator(word: str) -> str | None:
    if word in (")", "NOT", ";"):
        return "operator" if word != ";" else None
    if word in _CONNECTIVES or word in _COMPARISONS or word in (",", "BETWEEN"):
        return "operand"
    return {"IN": "list", "IS": "null"}.get(word)


def _after_in(word: str) -> str | None:
    return "operand" if word == "(" else None


def _after_is(word: str) -> str | None:
    if word == "NOT":
        return "null"
    return "operator" if word in ("NULL", "TRUE", "FALSE") else None


_FOLLOWING = {
    "operand": _after_operand,
    "operator": _after_operator,
    "list": _after_in,
    "null": _after_is,
}
