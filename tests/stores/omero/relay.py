"""A TCP relay between a client and a server, which a test cuts, and lets through again."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class Relay:
    """Listens on a free port of this machine and passes everything on.

    Parameters
    ----------
    host, port
        The server.

    Attributes
    ----------
    port : int
        Where clients connect to.
    passed : int
        Bytes that the server sent through it, of all connections.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.passed = 0
        self._cut_after: int | None = None
        self._refuses = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut every connection there is; new ones are let through."""
        with self._lock:
            cut, self._open = self._open, set()
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut_after(self, count: int) -> None:
        """Cut every connection once the server has sent `count` more bytes."""
        self._cut_after = self.passed + count

    def refuse(self, *, refuse: bool = True) -> None:
        """Cut every connection, and each new one at once, until told otherwise."""
        self._refuses = refuse
        if refuse:
            self.cut()

    def close(self) -> None:
        """Stop listening, and cut every connection."""
        self._listening.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._refuses:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for source, sink, counts in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, counts), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(1 << 16):
                if counts:
                    self.passed += len(block)
                    if self._cut_after is not None and self.passed >= self._cut_after:
                        self._cut_after = None
                        self.cut()
                        return
                sink.sendall(block)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
