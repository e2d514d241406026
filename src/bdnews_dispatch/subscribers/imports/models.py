"""Tables of imports: runs, the rows of their files until they are dealt with, the rows that were refused."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime, enum_type


class ImportState(StrEnum):
    """Where a run is."""

    #: Its file comes in.
    RECEIVING = "receiving"
    #: All of the file is here; columns may be mapped, the check may be looked at.
    READY = "ready"
    RUNNING = "running"
    FINISHED = "finished"
    #: It could not go on; says why in `note`.
    FAILED = "failed"
    CANCELLED = "cancelled"


class ImportMode(StrEnum):
    """What the file's people are for."""

    #: New people come; who is subscribed stays as they are.
    ADD = "add"
    #: New people come; who is subscribed is as the file says from now on.
    UPDATE = "update"
    #: As `update`; afterwards the list holds the file's people and nobody else.
    REPLACE_LIST = "replace-list"
    UNSUBSCRIBE = "unsubscribe"
    #: They are never written to, whether they are here or not.
    SUPPRESS = "suppress"


#: The condition of the partial index; a query that wants it says the same words.
OPEN = "state IN ('receiving', 'ready', 'running')"


class ImportRun(SQLModel, table=True):
    """One file that is imported.

    Attributes:
        kind, encoding, delimiter: what it was found to be: `csv` or `xlsx`; of CSV.
        sheet: of a workbook, the one that is read.
        headings: of its columns, as they stand there; `header_row`: which row they are in, 0: none.
        mapping: for each column, the field that it fills; "" is none.
        options: what else was asked for and belongs to this run alone.
        basis, consent: why these people may be written to; its version as `ConsentText` keeps it.
        origin: who asked for it.
        chunk, start: where the next slice begins: the chunk, and the row in it.
        kinds: what there is to tell, by code: {"rows": how many, "refused": whether they were, "first": [[row, words]]}
        busy_until: somebody is at it; who else would begin waits until then. Being wrong does no harm.
    """

    __tablename__ = "import_run"
    __table_args__ = (
        Index("ix_import_run_open", "state", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
    )
    id: int | None = Field(default=None, primary_key=True)
    publication: str = Field(max_length=40)
    state: ImportState = Field(default=ImportState.RECEIVING, sa_type=enum_type(ImportState))
    file_name: str = Field(max_length=255)
    sha256: str = Field(default="", max_length=64)
    size: int = 0
    kind: str = Field(default="", max_length=8)
    encoding: str = Field(default="", max_length=20)
    delimiter: str = Field(default="", max_length=1)
    sheet: str = Field(default="", max_length=100)
    headings: list[str] = Field(default_factory=list, sa_type=JSON)
    header_row: int = 0
    mapping: list[str] = Field(default_factory=list, sa_type=JSON)
    mode: ImportMode = Field(default=ImportMode.UPDATE, sa_type=enum_type(ImportMode))
    list_name: str = Field(default="", max_length=100)
    basis: str = Field(default="", max_length=1000)
    consent: str = Field(default="", max_length=16)
    origin: str = Field(default="", max_length=100)
    rows: int = 0
    done: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    chunks: int = 0
    chunk: int = 0
    start: int = 0
    kinds: dict[str, dict[str, Any]] = Field(default_factory=dict, sa_type=JSON)
    note: str = Field(default="", max_length=500)
    created_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    busy_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ImportChunk(SQLModel, table=True):
    """Some thousand rows of a file as they stand there, compressed; gone once they have been dealt with."""

    __tablename__ = "import_chunk"
    run_id: int = Field(foreign_key="import_run.id", primary_key=True)
    number: int = Field(primary_key=True)
    data: bytes = Field(sa_type=LargeBinary)


class ImportRefused(SQLModel, table=True):
    """The rows of one slice that were refused, with why, compressed; kept for some weeks."""

    __tablename__ = "import_refused"
    run_id: int = Field(foreign_key="import_run.id", primary_key=True)
    chunk: int = Field(primary_key=True)
    start: int = Field(primary_key=True)
    data: bytes = Field(sa_type=LargeBinary)


class ImportMember(SQLModel, table=True):
    """Of a run that replaces a list: somebody who is in the file. Gone when the run ends."""

    __tablename__ = "import_member"
    run_id: int = Field(foreign_key="import_run.id", primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
