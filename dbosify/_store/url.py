"""What the user calls "the database": a URL, and the schema of a namespace in it.

The same database is written in three dialects: libpq's URIs, SQLAlchemy's URLs and
libpq's keyword strings. psycopg takes the last, DBOS takes SQLAlchemy's, users paste
any. So a URL is read once into its parts and written out again in the dialect that
each library reads without loss.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

import sqlalchemy
from psycopg import pq
from psycopg.conninfo import make_conninfo

_SHAPE = "postgresql://user:password@host:5432/database"
_SQLALCHEMY = "postgresql+psycopg"
_SCHEMES = ("postgres", "postgresql", _SQLALCHEMY)

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_POSTGRES = re.compile(r"postgres(ql)?(\+\w+)?://")

_LIVELY: dict[str, str] = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""By default a connection whose other end vanished is given up after two hours."""

_REST = r"""
    (?P<hosts>[^/?\#@]*)
    (?:/(?P<dbname>[^/?\#@]*))?
    (?:\?(?P<query>(?:\w+=[^&]*(?:&\w+=[^&]*)*)?))?
"""
_ENCODED = re.compile(
    r"(?:(?P<user>[^:/?\#@]*)(?::(?P<password>[^/?\#@]*))?@)?" + _REST,
    re.VERBOSE | re.DOTALL,
)
# SQLAlchemy's users are used to passwords that nobody encoded. Tried second, so that
# what libpq understands keeps libpq's meaning.
_UNENCODED = re.compile(
    r"(?P<user>[^:/?\#@]*):(?P<password>.*)@" + _REST, re.VERBOSE | re.DOTALL
)
_HOST = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d*))?"
)
_PARTS = frozenset({"user", "password", "host", "port", "dbname"})


class BadDatabaseUrl(ValueError):
    """The text is not the URL of a Postgres database; never says the password."""


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """One database and how to connect to it; equal ones share a process's resources.

    Attributes:
        host: One host or socket directory, or several as libpq's comma-separated list.
        port: Their ports, in as many comma-separated places, or None for the default.
        options: Every other libpq option, sorted by name.
    """

    user: str | None
    password: str | None
    host: str | None
    port: str | None
    database: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Read a URL as libpq or SQLAlchemy would.

        Raises:
            BadDatabaseUrl: it is something else, or names no database.
        """
        scheme, match = _split(text.strip())
        parts = {
            name: _decode(match[name])
            for name in ("user", "password", "dbname")
            if match[name]
        }
        hosts = match["hosts"].split(",") if match["hosts"] else []
        in_query: list[str] = []
        for key, value in _pairs(match["query"] or "", form=scheme == _SQLALCHEMY):
            if key == "host":
                in_query += value.split(",")
            elif key in parts and key not in _PARTS:
                raise BadDatabaseUrl(f"The database URL gives {key} twice.")
            else:
                parts[key] = value
        host, port = _places(
            [_decode(place) for place in hosts], in_query, parts.get("port")
        )
        if not parts.get("dbname"):
            raise BadDatabaseUrl(
                f"The database URL names no database; it must look like {_SHAPE}."
            )
        return cls(
            user=parts.get("user"),
            password=parts.get("password"),
            host=host,
            port=port,
            database=parts["dbname"],
            options=tuple(sorted((k, v) for k, v in parts.items() if k not in _PARTS)),
        )

    @property
    def conninfo(self) -> str:
        """The connection string for psycopg."""
        return make_conninfo(
            "",
            user=self.user,
            password=self.password,
            host=self.host,
            port=self.port,
            dbname=self.database,
            **dict(self.options),
        )

    @property
    def lively_conninfo(self) -> str:
        """The same, for connections that notice when their other end is gone."""
        options = dict(self.options)
        wanted = {name: v for name, v in _LIVELY.items() if name not in options}
        return make_conninfo(self.conninfo, **wanted)

    @property
    def sqlalchemy_url(self) -> str:
        """The URL for SQLAlchemy, and so for DBOS, with psycopg 3 as its driver."""
        query = dict(self.options)
        host, port = self.host, self.port
        if self._is_plain:
            number = int(port) if port else None
        else:
            number = None
            query |= {"host": host} if host else {}
            query |= {"port": port} if port else {}
        url = sqlalchemy.URL.create(
            _SQLALCHEMY,
            username=self.user,
            password=self.password,
            host=host if self._is_plain else None,
            port=number,
            database=self.database,
            query=query,
        )
        # SQLAlchemy leaves the spaces of a password, which libpq's URLs may not have.
        # A database's name is left alone: whether it is encoded depends on its version.
        *before, authority, rest = url.render_as_string(hide_password=False).split(
            "/", 3
        )
        return "/".join([*before, authority.replace(" ", "%20"), rest])

    @property
    def redacted(self) -> str:
        """The URL for messages and logs, without password and options, some secret."""
        user = quote(self.user, safe="") if self.user else ""
        secret = ":***" if self.password else ""
        at = "@" if user or secret else ""
        database = quote(self.database, safe="")
        if self.host and self.host[0] in "/@":
            return f"postgresql://{user}{secret}{at}/{database}?host={self.host}"
        return f"postgresql://{user}{secret}{at}{self._places_text}/{database}"

    @property
    def _is_plain(self) -> bool:
        """Whether host and port fit where a URL of SQLAlchemy's has them."""
        host = self.host or ""
        return "," not in host + (self.port or "") and host[:1] not in ("/", "@")

    @property
    def _places_text(self) -> str:
        hosts = (self.host or "").split(",")
        ports = (self.port or "").split(",")
        ports += [""] * (len(hosts) - len(ports))
        return ",".join(
            (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
            for host, port in zip(hosts, ports, strict=True)
        )

    def __repr__(self) -> str:
        return f"<DatabaseUrl {self.redacted}>"

    __str__ = __repr__


def is_postgres_url(text: str) -> bool:
    """Whether the text is meant as a Postgres URL, for this driver or another.

    A yes does not say that it can be parsed: a URL with a mistake has to be told from
    the `host:port` of a Temporal server, or its author never learns of the mistake.
    """
    return _POSTGRES.match(text.strip()) is not None


def schema_of_namespace(namespace: str) -> str:
    """The database schema that holds a namespace, and no other namespace.

    A name that ends like the names given to the unusual ones is treated as unusual
    itself; otherwise it could be chosen to meet another namespace's schema.
    """
    if namespace == "default":
        return "dbos"
    plain = re.fullmatch(r"[a-z0-9_]{1,40}", namespace)
    if plain and not re.search(r"_[0-9a-f]{10}\Z", namespace):
        return f"dbos_{namespace}"
    slug = re.sub(r"[^a-z0-9_]", "_", namespace.lower())[:40]
    digest = hashlib.sha256(namespace.encode()).hexdigest()[:10]
    return f"dbos_{slug}_{digest}"


def _split(text: str) -> tuple[str, re.Match[str]]:
    """The scheme, and the rest taken apart."""
    scheme = _SCHEME.fullmatch(text)
    if scheme is None or scheme[1] not in _SCHEMES:
        found = f", not {scheme[1]}://" if scheme else ""
        raise BadDatabaseUrl(f"A database URL must look like {_SHAPE}{found}.")
    for pattern in (_ENCODED, _UNENCODED):
        match = pattern.fullmatch(scheme[2])
        if match and all(map(_HOST.fullmatch, match["hosts"].split(","))):
            return scheme[1], match
    raise BadDatabaseUrl(
        f"The database URL can't be taken apart; it must look like {_SHAPE},"
        " with special characters percent-encoded."
    )


def _pairs(query: str, *, form: bool) -> Iterable[tuple[str, str]]:
    """The options of a URL; `form`: a plus means a space, as SQLAlchemy reads it."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if (key, value) == ("ssl", "true"):
            key, value = "sslmode", "require"
        if key not in known:
            raise BadDatabaseUrl(
                f"The database URL has an option that libpq doesn't know: {key}."
            )
        yield key, _decode(value.replace("+", " ") if form else value)


def _decode(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        raise BadDatabaseUrl("The database URL encodes a part that is not UTF-8 text.")
    return decoded


def _place(text: str) -> tuple[str, str]:
    """A host and its port, unless the text is a socket or a bare IPv6 address."""
    match = _HOST.fullmatch(text)
    if text[:1] in ("/", "@") or match is None:
        return text, ""
    return match["ipv6"] or match["name"] or "", match["port"] or ""


def _places(
    hosts: list[str], in_query: list[str], port: str | None
) -> tuple[str | None, str | None]:
    """The hosts and their ports as libpq lists them; those in the query win."""
    places = [_place(text) for text in in_query or hosts]
    names, ports = [name for name, _ in places], [port for _, port in places]
    if port is not None:
        ports = port.split(",")
        if len(ports) == 1:
            # SQLAlchemy wants as many ports as hosts.
            ports *= max(len(names), 1)
    if not all(number == "" or _is_port(number) for number in ports):
        raise BadDatabaseUrl("The database URL has a port that is not a port number.")
    if names and len(ports) != len(names):
        raise BadDatabaseUrl("The database URL doesn't have one port for each host.")
    return ",".join(names) or None, ",".join(ports) if any(ports) else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
