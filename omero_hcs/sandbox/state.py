"""What a snapshot keeps beside rows and bytes: passwords, configuration, scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.accounts import PasswordHash
from omero_hcs.sandbox.bootstrap import add_enumerations
from omero_hcs.sandbox.configuration import DEFAULTS
from omero_hcs.sandbox.objects.snapshot import naming_damage, read_snapshot, write_snapshot

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server

ROOT_ID = 0
OF_THIS_START = "omero.router.insecure"  # it names a port


def save_state(server: Server, path: Path) -> None:
    """Write a server that no longer answers to a file."""
    state: dict[str, Any] = {
        "config": {
            name: value
            for name, value in server.config.items()
            if value != DEFAULTS.get(name) and name != OF_THIS_START
        },
        "database_uuid": server.database_uuid,
        "passwords": {
            str(user.id): [known.salt.hex(), known.digest.hex()]
            for user, known in server.accounts.passwords.items()
        },
        "scripts": server.scripts.dump(),
    }
    write_snapshot(path, server.world, server.files.root, state)


def restore_state(server: Server, path: Path, password: str) -> None:
    """Fill a server that does not answer yet from a file; root gets the password of this start.

    Raises
    ------
    InputError
        The file is no snapshot, is damaged, or was written by a later version.
    """
    state = read_snapshot(path, server.world, server.files.root)
    with naming_damage(path), server.world.transaction():
        server.config.update(state["config"])
        server.database_uuid = state["database_uuid"]
        server.scripts.restore(state["scripts"])
        users = {str(user.id): user for user in server.world.all("Experimenter")}
        for user_id, (salt, digest) in state["passwords"].items():
            known = PasswordHash(bytes.fromhex(salt), bytes.fromhex(digest))
            server.accounts.passwords[users[user_id]] = known
        server.accounts.set_password(users[str(ROOT_ID)], password)
        add_enumerations(server.world)
