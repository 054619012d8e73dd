"""Marks beside the ledger by which a run of this installation is asked to stop.

One file a run, with who asked; the driver looks for it. So only the driver writes the ledger.
"""

from __future__ import annotations

from pathlib import Path

from omero_hcs.errors import WriteError


def ask(state_dir: Path, run_id: str, who: str) -> None:
    """Ask a run to stop.

    Parameters
    ----------
    state_dir : Path
        Folder of the ledger; the marks are in its folder "stops".
    run_id : str
        A run of the ledger.
    who : str
        Who asks, for people.

    Raises
    ------
    WriteError
        If the mark cannot be made.
    """
    path = _file(state_dir, run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(who, encoding="utf-8")
    except OSError as error:
        msg = f"{path} could not be made: {error.strerror}. Stop the run's process instead."
        raise WriteError(msg) from error


def asked(state_dir: Path, run_id: str) -> str | None:
    """Who asked a run to stop, or None."""
    try:
        return _file(state_dir, run_id).read_text(encoding="utf-8") or "somebody"
    except OSError:
        return None


def forget(state_dir: Path, run_id: str) -> None:
    """Take a mark away, where there is one."""
    _file(state_dir, run_id).unlink(missing_ok=True)


def _file(state_dir: Path, run_id: str) -> Path:
    return state_dir / "stops" / Path(run_id).name
