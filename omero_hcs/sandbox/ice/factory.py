"""The service factory: what a client gets when it logs in, and gets everything else from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.objects.conditions import api_usage, security
from omero_hcs.sandbox.services.base import Service

if TYPE_CHECKING:
    from collections.abc import Callable

# One per session; getXService() gives it.
STATELESS: Mapping[str, str] = {
    "IAdmin": "omero_hcs.sandbox.services.admin:IAdmin",
    "IConfig": "omero_hcs.sandbox.services.config:IConfig",
    "IContainer": "omero_hcs.sandbox.services.container:IContainer",
    "ILdap": "omero_hcs.sandbox.services.absent:ILdap",
    "IMetadata": "omero_hcs.sandbox.services.metadata:IMetadata",
    "IPixels": "omero_hcs.sandbox.services.pixels:IPixels",
    "IProjection": "omero_hcs.sandbox.services.projection:IProjection",
    "IQuery": "omero_hcs.sandbox.services.query:IQuery",
    "IRenderingSettings": "omero_hcs.sandbox.services.rendering_settings:IRenderingSettings",
    "IRepositoryInfo": "omero_hcs.sandbox.services.absent:IRepositoryInfo",
    "IRoi": "omero_hcs.sandbox.services.roi:IRoi",
    "IScript": "omero_hcs.sandbox.services.scripts:IScript",
    "ISession": "omero_hcs.sandbox.services.session:ISession",
    "IShare": "omero_hcs.sandbox.services.absent:IShare",
    "ITimeline": "omero_hcs.sandbox.services.timeline:ITimeline",
    "ITypes": "omero_hcs.sandbox.services.types:ITypes",
    "IUpdate": "omero_hcs.sandbox.services.update:IUpdate",
    "SharedResources": "omero_hcs.sandbox.services.resources:SharedResources",
}
# Made anew for each createX().
STATEFUL: Mapping[str, str] = {
    "Exporter": "omero_hcs.sandbox.services.absent:Exporter",
    "JobHandle": "omero_hcs.sandbox.services.jobs:JobHandle",
    "RawFileStore": "omero_hcs.sandbox.services.rawfile:RawFileStore",
    "RawPixelsStore": "omero_hcs.sandbox.services.rawpixels:RawPixelsStore",
    "RenderingEngine": "omero_hcs.sandbox.services.rendering:RenderingEngine",
    "Search": "omero_hcs.sandbox.services.search:Search",
    "ThumbnailStore": "omero_hcs.sandbox.services.thumbnails:ThumbnailStore",
}
GETTERS = {f"get{name.removeprefix('I')}Service": name for name in STATELESS if name[0] == "I"}
CREATORS = {f"create{name}": name for name in STATEFUL} | {"createSearchService": "Search"}


class ServiceFactory(Service):
    """Operations of `omero.api.ServiceFactory`, one for each client of a session."""

    def __getattr__(self, operation: str) -> Callable[[Any], Any]:
        """Give the fifteen getters and the seven creators."""
        if operation in GETTERS:
            return lambda _: self.server.service(self.session, GETTERS[operation])
        if operation in CREATORS:
            return lambda _: self.server.service(self.session, CREATORS[operation], stateful=True)
        raise AttributeError(operation)

    def getByName(self, name: str, current: Any) -> Any:
        return self.server.service(self.session, self._known(name, STATELESS))

    def createByName(self, name: str, current: Any) -> Any:
        return self.server.service(self.session, self._known(name, STATEFUL), stateful=True)

    @staticmethod
    def _known(name: str, services: Mapping[str, str]) -> str:
        short = name.rpartition(".")[2]
        if short not in services:
            msg = f"Unknown service: {name}. There are: {', '.join(sorted(services))}."
            raise api_usage(msg)
        return short

    def sharedResources(self, current: Any) -> Any:
        return self.server.service(self.session, "SharedResources")

    def submit(self, request: Any, current: Any) -> Any:
        return self.server.submit(self.session, request, current)

    def activeServices(self, current: Any) -> list[str]:
        return [identity.name for identity in self.session.identities]

    def keepAlive(self, proxy: Any, current: Any) -> bool:
        return True  # the operation itself kept the session alive

    def keepAllAlive(self, proxies: list[Any], current: Any) -> int:
        return 0  # no bit set: all of them are alive

    def detachOnDestroy(self, current: Any) -> None:
        self.session.client(current.con).closes = False

    def closeOnDestroy(self, current: Any) -> None:
        self.session.client(current.con).closes = True

    def setCallback(self, callback: Any, current: Any) -> None:
        self.session.callback = callback

    def subscribe(self, topic: str, proxy: Any, current: Any) -> None:
        return None  # nothing is published here

    def destroy(self, current: Any) -> None:
        self.server.forget(self)

    def getSecurityContexts(self, current: Any) -> list[Any]:
        with self.reading(current):
            groups = self.server.accounts.groups_of(self.session.user)
            return [group.entity.unloaded(group.id) for group in groups]

    def setSecurityContext(self, target: Any, current: Any) -> Any:
        with self.world.lock:
            self._check_idle()
            group = self.world.get("ExperimenterGroup", target.id.val)
            if group is None:
                msg = f"No such group: {target.id.val}"
                raise api_usage(msg)
            user, accounts = self.session.user, self.server.accounts
            if not (accounts.is_admin(user) or group in accounts.groups_of(user)):
                msg = f"User {user.id} is not a member of group {group.id}"
                raise security(msg)
            if self.session.sudo.groups is not None:
                msg = "Group-sudo session cannot change context!"
                raise security(msg)
            old, self.session.group = self.session.group, group
            return old.entity.unloaded(old.id)

    def _check_idle(self) -> None:
        names = sorted(identity.name for identity in self.session.identities)
        active = [name for name in names if name.partition("-")[0] in STATEFUL]
        if active:
            msg = f"{self.session.uuid} has active stateful services:\n" + "\n".join(active)
            raise security(msg)

    def setSecurityPassword(self, password: str, current: Any) -> None:
        name = self.session.user.values["omeName"]
        if self.server.accounts.authenticate(name, password) is None:
            msg = f"Bad password for {name}"
            raise security(msg)
        self.session.client(current.con).has_password = True
