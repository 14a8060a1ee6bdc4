"""Database URLs are read as libpq and SQLAlchemy read them, and never show secrets."""

import psycopg
import pytest
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict

from dbosify._store.url import (
    BadDatabaseUrl,
    DatabaseUrl,
    is_postgres_url,
    schema_of_namespace,
)

SECRET = "s3:c/r?e#t@&%+ é"
ENCODED = "s3%3Ac%2Fr%3Fe%23t%40%26%25%2B%20%C3%A9"


def libpq_parts(url: DatabaseUrl) -> dict[str, object]:
    """What psycopg connects with."""
    return dict(conninfo_to_dict(url.conninfo))


def sqlalchemy_parts(url: DatabaseUrl) -> dict[str, object]:
    """What SQLAlchemy's driver would hand to psycopg for the same URL."""
    parsed = sqlalchemy.make_url(url.sqlalchemy_url)
    assert parsed.drivername == "postgresql+psycopg"
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    return {
        name: str(value)
        for name, value in arguments.items()
        # A list of empty ports is SQLAlchemy's way to say none.
        if name != "context" and str(value or "").strip(",")
    }


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_scheme_is_read_alike(scheme: str) -> None:
    url = DatabaseUrl.parse(f"{scheme}://ann:pw@db.example:6543/app")

    assert url == DatabaseUrl("ann", "pw", "db.example", "6543", "app")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("postgresql:///app", {"dbname": "app"}),
        ("postgresql://db/app", {"host": "db", "dbname": "app"}),
        ("postgresql://ann@db/app", {"user": "ann", "host": "db", "dbname": "app"}),
        ("postgresql://ann:@db/app", {"user": "ann", "host": "db", "dbname": "app"}),
        ("postgresql://db:6543/app?", {"host": "db", "port": "6543", "dbname": "app"}),
        (
            "postgresql://[::1]:6543/app",
            {"host": "::1", "port": "6543", "dbname": "app"},
        ),
        (
            "postgresql://a%40b:p%3Aw@db/my%20app",
            {"user": "a@b", "password": "p:w", "host": "db", "dbname": "my app"},
        ),
        (
            "postgresql://ann@/app?host=/var/run/pg&port=6543",
            {"user": "ann", "host": "/var/run/pg", "port": "6543", "dbname": "app"},
        ),
        ("postgresql://%2Fvar%2Frun/app", {"host": "/var/run", "dbname": "app"}),
        ("postgresql://db/app?host=/tmp", {"host": "/tmp", "dbname": "app"}),
        (
            "postgresql://a:1,b:2/app?target_session_attrs=read-write",
            {
                "host": "a,b",
                "port": "1,2",
                "dbname": "app",
                "target_session_attrs": "read-write",
            },
        ),
        ("postgresql://a:1,b/app", {"host": "a,b", "port": "1,", "dbname": "app"}),
        (
            "postgresql:///app?host=a,b&port=7000",
            {"host": "a,b", "port": "7000,7000", "dbname": "app"},
        ),
        (
            "postgresql+psycopg:///app?host=a:1&host=b:2",
            {"host": "a,b", "port": "1,2", "dbname": "app"},
        ),
        ("postgresql://[::1],b/app", {"host": "::1,b", "dbname": "app"}),
        (
            "postgresql://db/?dbname=app&user=ann&password=pw&port=7000",
            {
                "host": "db",
                "port": "7000",
                "dbname": "app",
                "user": "ann",
                "password": "pw",
            },
        ),
        (
            "postgresql://db/app?sslmode=require&application_name=a%20b+c"
            "&connect_timeout=3&options=-c%20jit%3Doff",
            {
                "host": "db",
                "dbname": "app",
                "sslmode": "require",
                "application_name": "a b+c",
                "connect_timeout": "3",
                "options": "-c jit=off",
            },
        ),
        (
            "postgresql+psycopg://db/app?application_name=a+b%2Bc",
            {"host": "db", "dbname": "app", "application_name": "a b+c"},
        ),
        (
            "postgresql://db/app?ssl=true",
            {"host": "db", "dbname": "app", "sslmode": "require"},
        ),
        (
            "postgresql://db:6543/app?application_name=a@b",
            {"host": "db", "port": "6543", "dbname": "app", "application_name": "a@b"},
        ),
        ("  postgresql://db/app\n", {"host": "db", "dbname": "app"}),
    ],
)
def test_psycopg_and_sqlalchemy_get_the_same_parts(
    text: str, parts: dict[str, object]
) -> None:
    url = DatabaseUrl.parse(text)

    assert libpq_parts(url) == parts
    assert sqlalchemy_parts(url) == parts


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:p%40w%3A1@db:6543/app?sslmode=disable&options=-c%20a%3Db",
        "postgresql://a,b:1,c/app?application_name=x",
        "postgresql://%2Fvar%2Frun/app",
        "postgresql://db/a%2Fb%23c",
    ],
)
def test_libpq_reads_a_url_of_its_own_alike(text: str) -> None:
    ours = libpq_parts(DatabaseUrl.parse(text))

    assert ours == conninfo_to_dict(text)


@pytest.mark.parametrize("written", [ENCODED, SECRET])
def test_a_password_of_special_characters_arrives_encoded_or_not(written: str) -> None:
    url = DatabaseUrl.parse(f"postgresql://ann:{written}@db:6543/app?sslmode=prefer")

    assert libpq_parts(url) == sqlalchemy_parts(url)
    assert libpq_parts(url)["password"] == SECRET
    assert " " not in url.sqlalchemy_url
    assert (url.host, url.port, url.database) == ("db", "6543", "app")


def test_a_password_of_digits_and_a_slash_is_not_taken_for_a_port() -> None:
    url = DatabaseUrl.parse("postgresql://ann:12/x@db/app")

    assert (url.user, url.password, url.host) == ("ann", "12/x", "db")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must look like"),
        ("localhost:7233", "must look like"),
        ("host=db dbname=app password=hunter2", "must look like"),
        ("mysql://ann:hunter2@db/app", "not mysql://"),
        ("postgresql+psycopg2://ann:hunter2@db/app", "not postgresql+psycopg2://"),
        ("postgresql+asyncpg://ann:hunter2@db/app", "not postgresql+asyncpg://"),
        ("sqlite:///app.db", "not sqlite://"),
        ("postgresql://ann:hunter2@db", "names no database"),
        ("postgresql://ann:hunter2@db/", "names no database"),
        ("postgresql://ann:hunter2@db/app?schema=public", "doesn't know: schema."),
        ("postgresql://ann:hunter2@db/app?ssl=maybe", "doesn't know: ssl."),
        (
            "postgresql://ann:hunter2@db/app?sslmode=allow&sslmode=require",
            "sslmode twice",
        ),
        ("postgresql://ann:hunter2@db:0/app", "not a port number"),
        ("postgresql://ann:hunter2@db:65536/app", "not a port number"),
        ("postgresql://ann:hunter2@db/app?port=x", "not a port number"),
        ("postgresql://ann:hunter2@a,b,c/app?port=1,2", "one port for each host"),
        ("postgresql://ann:hunter2@db:port/app", "can't be taken apart"),
        ("postgresql://ann:hunter2@db/app/more", "can't be taken apart"),
        ("postgresql://ann:hunter2@db/app?sslmode", "can't be taken apart"),
        ("postgresql://ann:hunter2%FF@db/app", "not UTF-8"),
        ("postgresql://ann:hunter2%00@db/app", "not UTF-8"),
    ],
)
def test_anything_else_is_refused_in_a_sentence_without_the_password(
    text: str, reason: str
) -> None:
    with pytest.raises(BadDatabaseUrl) as caught:
        DatabaseUrl.parse(text)

    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert reason in message
    assert message.endswith(".")
    assert "\n" not in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql:///app", "postgresql:///app"),
        ("postgres://ann:hunter2@db:1/app", "postgresql://ann:***@db:1/app"),
        ("postgresql://a%40b@[::1]:1/my%20app", "postgresql://a%40b@[::1]:1/my%20app"),
        ("postgresql://:hunter2@db/app", "postgresql://:***@db/app"),
        ("postgresql://ann:hunter2@a:1,b/app", "postgresql://ann:***@a:1,b/app"),
        (
            "postgresql://ann@/app?host=/run/pg&sslpassword=hunter2",
            "postgresql://ann@/app?host=/run/pg",
        ),
        ("postgresql://db/app?password=hunter2", "postgresql://:***@db/app"),
    ],
)
def test_what_is_shown_of_a_url_hides_its_secrets(text: str, redacted: str) -> None:
    url = DatabaseUrl.parse(text)

    assert url.redacted == redacted
    for shown in (str(url), repr(url), f"{url}", repr({"url": url})):
        assert redacted in shown
        assert "hunter2" not in shown


def test_urls_that_say_the_same_are_one_key() -> None:
    registry = {
        DatabaseUrl.parse("postgres://ann:a%20b@db/app?sslmode=prefer&options=x"): 1
    }

    same = "postgresql+psycopg://ann:a b@db/app?options=x&sslmode=prefer"
    assert registry[DatabaseUrl.parse(same)] == 1


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://bob:pw@db/app",
        "postgresql://ann:pw2@db/app",
        "postgresql://ann:pw@db2/app",
        "postgresql://ann:pw@db:1/app",
        "postgresql://ann:pw@db/app2",
        "postgresql://ann:pw@db/app?sslmode=require",
    ],
)
def test_urls_that_differ_in_any_part_are_different_keys(other: str) -> None:
    assert DatabaseUrl.parse("postgresql://ann:pw@db/app") != DatabaseUrl.parse(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://db/app", True),
        ("postgresql://db/app", True),
        ("postgresql+psycopg://db/app", True),
        (" postgresql://db/app", True),
        # Recognised so that parsing it can say what is wrong.
        ("postgresql+asyncpg://db/app", True),
        ("postgresql://", True),
        ("localhost:7233", False),
        ("namespace.a1b2c.tmprl.cloud:7233", False),
        ("sqlite:///app.db", False),
        ("http://postgres://db/app", False),
        ("", False),
    ],
)
def test_a_postgres_url_is_told_from_a_server_address(
    text: str, expected: bool
) -> None:
    assert is_postgres_url(text) is expected


@pytest.mark.parametrize(
    ("namespace", "schema"),
    [
        ("default", "dbos"),
        ("orders", "dbos_orders"),
        ("orders_2", "dbos_orders_2"),
        ("x" * 40, "dbos_" + "x" * 40),
        ("Orders", "dbos_orders_b7e8acdd52"),
        ("orders-eu", "dbos_orders_eu_f7fd5d2cfd"),
    ],
)
def test_a_namespace_has_a_readable_schema(namespace: str, schema: str) -> None:
    assert schema_of_namespace(namespace) == schema


def test_no_two_namespaces_share_a_schema() -> None:
    namespaces = ["default", "Default", "dbos", "", "_", "__", "ä", "ö", "a b", "a-b"]
    namespaces += ["a_b", "A_b", "x" * 40, "x" * 41, "x" * 42, "X" * 40]
    # Names made to look like the schemas of the ones above.
    namespaces += [schema_of_namespace(name)[len("dbos_") :] for name in namespaces]
    distinct = set(namespaces)

    schemas = {schema_of_namespace(name) for name in distinct}

    assert len(schemas) == len(distinct)
    assert all(len(schema) <= 63 for schema in schemas)
    assert all(schema.replace("_", "").isalnum() for schema in schemas)
    assert all(schema.isascii() and schema == schema.lower() for schema in schemas)


def test_both_drivers_connect_with_what_they_are_given(postgres_url: str) -> None:
    url = DatabaseUrl.parse(postgres_url)
    query = "SELECT current_database()"
    engine = sqlalchemy.create_engine(url.sqlalchemy_url)

    with psycopg.connect(url.conninfo) as connection:
        assert connection.execute(query).fetchone() == (url.database,)
    with engine.connect() as session:
        assert session.scalar(sqlalchemy.text(query)) == url.database
    engine.dispose()


def test_connections_notice_a_dead_network_unless_the_url_has_its_own_ideas() -> None:
    url = DatabaseUrl.parse("postgresql://db/app?tcp_user_timeout=1&connect_timeout=2")
    options = conninfo_to_dict(url.lively_conninfo)
    assert options["tcp_user_timeout"] == "1"
    assert options["connect_timeout"] == "2"
    assert options["keepalives_idle"] == "10"
    assert options["host"] == "db"
