"""The ledger: which runs there are, which of their units are done, and why others failed.

SQLite in WAL mode on a local disk of the driver's host: one writer (the driver), many readers.
Workers never open it.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from omero_hcs.errors import FormatVersionError, RunNotFoundError, WriteError
from omero_hcs.jobs.base import ATTEMPTS, RunStatus, UnitStatus
from omero_hcs.model import RunSpec, Unit

SCHEMA_VERSION = 1
_BUSY_SECONDS = 30
_WAL_PAUSE = 0.02
_SCHEMA = """
CREATE TABLE run (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, task TEXT NOT NULL, store TEXT NOT NULL,
    spec TEXT NOT NULL, status TEXT NOT NULL, message TEXT NOT NULL DEFAULT '',
    summary TEXT NOT NULL DEFAULT '{}', created REAL NOT NULL, started REAL, finished REAL
);
CREATE INDEX run_key ON run (key, created);
CREATE TABLE unit (
    run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE, position INTEGER NOT NULL,
    id TEXT NOT NULL, unit TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0, reason TEXT, worker TEXT, seconds REAL, finished REAL,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class RunRecord:
    """One run as the ledger knows it; times are seconds since the epoch."""

    spec: RunSpec
    status: RunStatus
    message: str
    summary: dict[str, Any]
    created: float
    started: float | None
    finished: float | None


@dataclass(frozen=True)
class UnitRecord:
    """One unit of a run as the ledger knows it."""

    unit: Unit
    status: UnitStatus
    attempts: int
    reason: str | None
    seconds: float | None


class Ledger:
    """Runs and their units in one SQLite file; open one a process and close it.

    Parameters
    ----------
    path : Path
        The file, made with its folder when it is not there.

    Raises
    ------
    FormatVersionError
        If the file was made by a newer release.
    WriteError
        If it cannot be made or opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        except (sqlite3.Error, OSError) as error:
            raise self._not_opened(error) from error
        try:
            self._migrate()
        except sqlite3.Error as error:
            self._db.close()
            raise self._not_opened(error) from error

    def _not_opened(self, error: Exception) -> WriteError:
        msg = (
            f"The ledger {self.path} cannot be opened: {error}. Set OMERO_HCS_STATE_DIR elsewhere."
        )
        return WriteError(msg)

    def _use_wal(self) -> None:
        """Let readers read while the driver writes.

        SQLite's own time-out does not hold for this change: the first processes of a new ledger
        would meet "database is locked".
        """
        last = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                    raise
                time.sleep(_WAL_PAUSE)
            else:
                return

    def _migrate(self) -> None:
        self._use_wal()
        self._db.execute("PRAGMA foreign_keys = ON")
        if self._version() == 0:
            with self._change():
                if self._version() == 0:  # no other process was faster
                    for statement in filter(str.strip, _SCHEMA.split(";")):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        version = self._version()
        if version > SCHEMA_VERSION:
            self._db.close()
            msg = (
                f"The ledger {self.path} has schema version {version}; this release reads up to "
                f"{SCHEMA_VERSION}. Update omero-hcs."
            )
            raise FormatVersionError(msg)

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

    @contextmanager
    def _change(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            msg = (
                f"The ledger {self.path} cannot be written: {error}. Free some space there, or set "
                f"OMERO_HCS_STATE_DIR to another disk, and start the run again."
            )
            raise WriteError(msg) from error

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()

    def add(self, spec: RunSpec, units: Sequence[Unit]) -> None:
        """Record a planned run with its units."""
        rows = [
            (spec.run_id, position, unit.id, unit.model_dump_json())
            for position, unit in enumerate(units)
        ]
        head = (spec.run_id, spec.key, spec.task, spec.store.uri)
        with self._change():
            self._db.execute(
                "INSERT INTO run (id, key, task, store, spec, status, created)"
                " VALUES (?, ?, ?, ?, ?, 'planned', ?)",
                (*head, spec.model_dump_json(), time.time()),
            )
            self._db.executemany(
                "INSERT INTO unit (run, position, id, unit) VALUES (?, ?, ?, ?)", rows
            )

    def start(self, run_id: str) -> None:
        """Mark a run as running: units that a killed process left, or that failed, wait again."""
        with self._change():
            self._db.execute(
                "UPDATE run SET status = 'running', started = COALESCE(started, ?), message = '',"
                " finished = NULL WHERE id = ?",
                (time.time(), run_id),
            )
            self._db.execute(
                "UPDATE unit SET status = 'waiting', attempts = 0"
                " WHERE run = ? AND status IN ('running', 'failed')",
                (run_id,),
            )

    def begin_units(self, run_id: str, unit_ids: Iterable[str]) -> None:
        """Mark units as handed to workers."""
        with self._change():
            self._db.executemany(
                "UPDATE unit SET status = 'running' WHERE run = ? AND id = ? AND status != 'done'",
                [(run_id, unit_id) for unit_id in unit_ids],
            )

    def end_unit(
        self,
        run_id: str,
        unit_id: str,
        status: Literal["done", "failed"],
        *,
        reason: str | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Record how a unit ended, and count the attempt; one that is done stays done."""
        with self._change():
            self._db.execute(
                "UPDATE unit SET status = ?, reason = ?, seconds = ?, worker = ?, finished = ?,"
                " attempts = attempts + 1 WHERE run = ? AND id = ? AND status != 'done'",
                (status, reason, seconds, socket.gethostname(), time.time(), run_id, unit_id),
            )

    def end(
        self,
        run_id: str,
        status: RunStatus,
        *,
        message: str = "",
        summary: dict[str, Any] | None = None,
    ) -> None:
        """Record how a run ended, and what it came to."""
        with self._change():
            self._db.execute(
                "UPDATE run SET status = ?, message = ?, summary = COALESCE(?, summary),"
                " finished = ? WHERE id = ?",
                (status, message, json.dumps(summary) if summary else None, time.time(), run_id),
            )

    def run(self, run_id: str) -> RunRecord:
        """Look one run up.

        Raises
        ------
        RunNotFoundError
            If the ledger has no such run; the message lists the latest ones.
        """
        rows = self._runs("WHERE id = ?", run_id)
        if rows:
            return rows[0]
        latest = [record.spec.run_id for record in self.runs(limit=5)]
        known = ", ".join(latest) or "none"
        msg = f"There is no run {run_id!r} in {self.path}. The latest are: {known}."
        raise RunNotFoundError(msg)

    def runs(self, *, limit: int = 50) -> list[RunRecord]:
        """List the latest runs, newest first."""
        return self._runs("ORDER BY created DESC, id DESC LIMIT ?", limit)

    def find(self, key: str) -> RunRecord | None:
        """Find the latest run of a key that was not undone, or None."""
        rows = self._runs("WHERE key = ? AND status != 'undone' ORDER BY created DESC LIMIT 1", key)
        return rows[0] if rows else None

    def _runs(self, clause: str, *values: Any) -> list[RunRecord]:
        columns = "spec, status, message, summary, created, started, finished"
        query = f"SELECT {columns} FROM run {clause}"  # noqa: S608  (clauses are this module's)
        with closing(self._db.execute(query, values)) as cursor:
            return [
                RunRecord(
                    RunSpec.model_validate_json(spec), status, message, json.loads(said), *times
                )
                for spec, status, message, said, *times in cursor
            ]

    def units(self, run_id: str) -> list[UnitRecord]:
        """Every unit of a run, in the order of the plan."""
        columns = "unit, status, attempts, reason, seconds"
        query = f"SELECT {columns} FROM unit WHERE run = ? ORDER BY position"  # noqa: S608  (ours)
        with closing(self._db.execute(query, (run_id,))) as cursor:
            return [UnitRecord(Unit.model_validate_json(row[0]), *row[1:]) for row in cursor]

    def pending(self, run_id: str) -> list[Unit]:
        """Units that are neither done nor given up, in the order of the plan."""
        return [
            record.unit
            for record in self.units(run_id)
            if record.status != "done"
            and not (record.status == "failed" and record.attempts >= ATTEMPTS)
        ]

    def counts(self, run_id: str) -> dict[UnitStatus, int]:
        """How many units of a run are in each state."""
        query = "SELECT status, COUNT(*) FROM unit WHERE run = ? GROUP BY status"
        return {
            cast("UnitStatus", status): count
            for status, count in self._db.execute(query, (run_id,))
        }
