"""How far a run is, told on what it is about; and whoever asks it to stop, heard.

A thread tells and listens beside the work: a unit may take minutes, as training does. What goes
wrong with telling is logged and harms no run.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from omero_hcs.errors import CancelledError, NotAllowedError
from omero_hcs.jobs import stops
from omero_hcs.model import ObjectRef
from omero_hcs.stores.base import PlateStore, RunBoard, RunNote, RunState
from omero_hcs.tasks.base import WITHIN_UNIT, Progress, Request, no_progress

logger = logging.getLogger(__name__)

TOLD_EVERY = 10.0
"""Seconds between two updates of a note, at least."""

LOOKED_EVERY = 2.0
"""Seconds between two looks for who asks the run to stop, at least."""

SILENCE = 120.0
"""A run that says it goes on, and has given no sign of life for so many seconds, was killed."""

_PATIENCE = 2.0
"""So long a run may go on until its next unit after it was asked; then it is interrupted."""

_SHARE = 20.0
"""With many objects telling takes long: it never takes more than this part of the time."""


class RunTeller:
    """Tells of one run, and hears who asks it to stop.

    Parameters
    ----------
    note : RunNote
        What is known before the run: its id, task and model.
    targets : sequence of ObjectRef
        What it is about.
    board : RunBoard or None
        Where it is told; nowhere with None.
    state_dir : Path
        Folder of the ledger, where a run may be asked to stop, too.
    progress : callable
        Whom else to tell; see `tasks.base.Progress`.
    clock, now : callable
        Seconds of a clock that only goes on, and since the epoch.
    """

    def __init__(  # noqa: PLR0913  (the clocks are for tests)
        self,
        note: RunNote,
        targets: Sequence[ObjectRef],
        board: RunBoard | None,
        *,
        state_dir: Path,
        progress: Progress = no_progress,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.note = note
        self._targets, self._board = tuple(targets), board
        self._state_dir, self._progress = state_dir, progress
        self._clock, self._now = clock, now
        self._over = threading.Event()
        self._changing, self._telling = threading.RLock(), threading.Lock()
        self._told_at = self._looked_at = float("-inf")
        self._wait = TOLD_EVERY
        self._at_first: tuple[float, int] | None = None
        self._stop_known_at: float | None = None
        self._in_main_thread = threading.current_thread() is threading.main_thread()

    @property
    def stopped_by(self) -> str:
        """Who asked the run to stop; empty if nobody did."""
        return self.note.stop_asked_by

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Tell and listen while inside; a mark of an earlier start counts no more."""
        stops.forget(self._state_dir, self.note.run_id)
        self.note = replace(self.note, started=self._now())
        self._tell()
        thread = threading.Thread(target=self._listen, name="run-note", daemon=True)
        thread.start()
        within = WITHIN_UNIT.set(self.step)
        try:
            yield
        except BaseException as error:
            if self.note.status == "running" and self.note.total:
                self.end("failed", str(error))
            elif self.note.status == "running":
                self._forget()
            raise
        finally:
            WITHIN_UNIT.reset(within)
            self._over.set()
            thread.join(LOOKED_EVERY)  # a server that hangs must not keep the run
            stops.forget(self._state_dir, self.note.run_id)

    def step(self, stage: str, done: int, total: int) -> None:
        """Show progress that is not counted in units, such as that of a report.

        Raises
        ------
        CancelledError
            If the run was asked to stop.
        """
        self._change(stage=f"{stage}, {done} of {total}")
        self._progress(stage, done, total)
        self.check()

    def count(self, stage: str, done: int, total: int, *, failed: int = 0) -> None:
        """Show how many units are done; see `step`."""
        at = self._clock()
        if self._at_first is None:
            self._at_first = at, done
        since, before = self._at_first
        left = (at - since) / (done - before) * (total - done) if done > before else None
        self._change(stage=stage, done=done, total=total, failed=failed, left=left)
        self._progress(stage, done, total)
        self.check()

    def check(self) -> None:
        """Stop if somebody asked for it.

        Raises
        ------
        CancelledError
            Saying who, and how much is done.
        """
        if self.stopped_by:
            raise CancelledError(self.stopped_text())

    def stopped_text(self) -> str:
        """Say who stopped the run, and how much of it is done."""
        note = self.note
        who = f" by {note.stop_asked_by}" if note.stop_asked_by else ""
        kept = f"{note.done} of {note.total} fields are done and kept" if note.total else ""
        return f"Run {note.run_id} was cancelled{who}{': ' * bool(kept)}{kept}."

    def come_to(self, result: str) -> None:
        """Note what the run came to, before its results are written."""
        self._change(result=result)

    def end(self, status: RunState, result: str, *, failed: int | None = None) -> None:
        """Tell what became of the run."""
        with self._changing:
            self._over.set()
        changed = {} if failed is None else {"failed": failed, "done": self.note.total - failed}
        self._change(status=status, result=result, stage="", left=None, **changed)
        self._tell()

    def listen(self) -> None:
        """Look who asks to stop, and tell how far the run is, each if it is time for it."""
        at = self._clock()
        if not self.stopped_by and at - self._looked_at >= LOOKED_EVERY:
            self._looked_at = at
            who = self._asked()
            if who:
                self._stop_known_at = at
                self._change(stop_asked_by=who)
        if at - self._told_at >= self._wait:
            self._tell()

    def _forget(self) -> None:
        """Tell nothing: the run came to nothing before it began."""
        self._over.set()
        if self._board is not None:
            with self._logged(), self._alone() as alone:
                if alone:
                    self._board.remove_note(self.note.run_id)

    def _listen(self) -> None:
        while not self._over.wait(LOOKED_EVERY / 2):
            self.listen()
            known = self._stop_known_at
            if known is not None and self._clock() - known >= _PATIENCE:
                self._interrupt()
                return

    def _interrupt(self) -> None:
        """End a unit that takes long, such as a training, as Ctrl-C would."""
        with self._changing:
            hears = callable(signal.getsignal(signal.SIGINT))  # else it would kill, or do nothing
            if hears and self._in_main_thread and not self._over.is_set():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _asked(self) -> str | None:
        who = stops.asked(self._state_dir, self.note.run_id)
        if who is None and self._board is not None:
            with self._logged():
                who = self._board.stop_asked(self.note.run_id)
        return who

    def _change(self, **known: object) -> None:
        with self._changing:
            self.note = replace(self.note, **known)  # type: ignore[arg-type]  # names of its fields

    def _tell(self) -> None:
        began = self._clock()
        with self._alone() as alone:
            if not alone or (self.note.status == "running" and self._over.is_set()):
                return  # the last word was said meanwhile, or a server hangs
            self._change(alive=self._now())
            for target in self._targets if self._board is not None else ():
                self._post(target, self.note)
        self._told_at = self._clock()
        self._wait = max(TOLD_EVERY, _SHARE * (self._told_at - began))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Tell one thing after the other; False where the one before takes too long."""
        alone = self._telling.acquire(timeout=_PATIENCE)
        try:
            yield alone
        finally:
            if alone:
                self._telling.release()

    def _post(self, target: ObjectRef, note: RunNote) -> None:
        with self._logged():
            try:
                if self._board is not None:
                    self._board.post_note(target, note)
            except NotAllowedError:
                self._board = None  # nor will it be allowed the next time
                raise

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  (a run is not lost because it is not told of)
            logger.warning(
                "The run could not be told of: %s", error, extra={"run": self.note.run_id}
            )


def teller_of(
    store: PlateStore, run_id: str, request: Request, *, task: str, model: str, posts: bool
) -> RunTeller:
    """Make the teller of a run.

    Parameters
    ----------
    store : PlateStore
        Where it is told, if that is a `RunBoard`.
    run_id : str
        The run.
    request : Request
        What it is about.
    task, model : str
        What it does, and with which model.
    posts : bool
        Whether it writes to the store; others leave nothing there.
    """
    note = RunNote(run_id, task, "running", 0.0, 0.0, stage="starting", model=model)
    board = store if posts and isinstance(store, RunBoard) else None
    state_dir, progress = request.settings.state_dir, request.progress
    return RunTeller(note, request.targets, board, state_dir=state_dir, progress=progress)
