"""The communicator and its object adapter: TLS and plain TCP on loopback, nothing else."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omero_hcs.sandbox.ice.certificate import make_certificate
from omero_hcs.sandbox.ice.record import Ice, omero, rtypes

HOST = "127.0.0.1"
MESSAGE_KILOBYTES = 256 * 1024  # the default of OMERO's own clients and servers
THREADS = 64


@dataclass(frozen=True)
class Ports:
    """Where the server listens."""

    tls: int
    plain: int


class PortTakenError(OSError):
    """Somebody else listens on a port that was asked for."""


@dataclass
class Endpoint:
    """A communicator that serves one adapter, and its ports."""

    communicator: Any
    adapter: Any
    ports: Ports

    def proxy(self, identity: Any) -> Any:
        """Return a proxy of a servant of ours."""
        return self.adapter.createProxy(identity)

    def add(self, servant: Any, identity: Any) -> Any:
        """Register a servant, and return its proxy."""
        return self.adapter.add(servant, identity)

    def remove(self, identity: Any) -> None:
        """Take a servant away, if it is there."""
        try:
            self.adapter.remove(identity)
        except Ice.NotRegisteredException:
            pass
        except Ice.ObjectAdapterDeactivatedException:
            pass

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self.communicator.destroy()


def open_endpoint(data: Path, *, port: int = 0, plain_port: int = 0) -> Endpoint:
    """Listen on loopback; port 0 takes a free one. Nothing answers before `adapter.activate()`.

    Raises
    ------
    PortTakenError
    """
    ports = Ports(tls=port or _free_port(), plain=plain_port or _free_port())
    data_properties = _properties(data, ports)
    start = Ice.InitializationData()
    start.properties = Ice.createProperties()
    for name, value in data_properties.items():
        start.properties.setProperty(name, value)
    communicator = Ice.initialize(start)
    _register_factories(communicator)
    try:
        adapter = communicator.createObjectAdapter("Sandbox")
    except Ice.SocketException as error:
        communicator.destroy()
        msg = (
            f"Can't listen on {HOST}:{ports.tls} and {HOST}:{ports.plain}: {error.ice_name()}. "
            "Another server has one of them: pass other ports, or 0 for free ones."
        )
        raise PortTakenError(msg) from error
    return Endpoint(communicator, adapter, ports)


def _properties(data: Path, ports: Ports) -> dict[str, str]:
    certificate = make_certificate(data / "certificate.p12")
    return {
        "Ice.Plugin.IceSSL": "IceSSL:createIceSSL",
        "IceSSL.CertFile": str(certificate.path),
        "IceSSL.Password": certificate.password,
        "IceSSL.VerifyPeer": "0",
        "IceSSL.Protocols": "TLS1_2",
        "Ice.MessageSizeMax": str(MESSAGE_KILOBYTES),
        "Ice.ThreadPool.Server.Size": "8",
        "Ice.ThreadPool.Server.SizeMax": str(THREADS),
        "Ice.ThreadPool.Client.SizeMax": str(THREADS),
        "Ice.ImplicitContext": "Shared",  # the tables servant wants one
        "Ice.ACM.Server.Close": "0",  # clients of OMERO keep quiet connections for hours
        "Ice.ACM.Server.Heartbeat": "0",
        "Ice.CacheMessageBuffers": "0",  # a plane's buffer is not kept for the next call
        "Ice.Warn.Connections": "0",
        "Ice.Warn.Dispatch": "0",  # our dispatcher logs, once and shorter
        "Sandbox.Endpoints": f"ssl -h {HOST} -p {ports.tls}:tcp -h {HOST} -p {ports.plain}",
    }


def _register_factories(communicator: Any) -> None:
    registrar = omero.ObjectFactoryRegistrar
    registrar.registerObjectFactory(communicator, None)
    for factory in rtypes.ObjectFactories.values():
        factory.register(communicator)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
