"""One OMERO session, shared by as many connections as somebody needs."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from omero_hcs.errors import LoginError
from omero_hcs.stores.omero.connect import SessionEndedError, open_client
from omero_hcs.stores.omero.login import TERMINAL, Login, forget_answers


class Entrance:
    """Opens connections that share one OMERO session, and a new session when that has ended.

    Parameters
    ----------
    login : Login
        The way in.
    properties : mapping, optional
        Of a script's client; see `connect.open_client`.
    """

    def __init__(self, login: Login, properties: Mapping[str, str] | None = None) -> None:
        self.login = login
        self._properties = properties
        self._key: str | None = None
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return f"Entrance({self.login.host}:{self.login.port})"

    def open(self) -> Any:
        """Connect.

        Raises
        ------
        LoginError
            See `connect.open_client`.
        """
        if self.login.key:  # it was open before us, and is open after us
            return open_client(self.login, properties=self._properties)
        with self._opening:
            client = self._join() if self._key else None
            return client or self._log_in()

    def check_user(self, name: str) -> None:
        """Make sure that a session is of the user that was asked for.

        Raises
        ------
        LoginError
            If it is another's.
        """
        wanted = self.login.user
        if wanted is not None and name != wanted:
            msg = (
                f"The session from {self.login.origin} is of user {name}, and {wanted} is asked "
                f"for. Log in as {wanted}, or leave the user out of the URI."
            )
            raise LoginError(msg)

    def _log_in(self) -> Any:
        try:
            client = open_client(self.login)
        except LoginError:
            if self.login.origin == TERMINAL:
                forget_answers()
            raise
        self._key = client.getSessionId()
        return client

    def _join(self) -> Any:
        """Join the session that another connection has open; it ends with the last of them."""
        login = dataclasses.replace(self.login, key=self._key, origin="another connection")
        try:
            return open_client(login, outlives=False)
        except SessionEndedError:
            return None
