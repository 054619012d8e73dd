"""IConfig: what the server says about itself."""

from __future__ import annotations

import re
from typing import Any

from omero_hcs.sandbox.configuration import CLIENT_PREFIX, DEFAULTS, is_secret
from omero_hcs.sandbox.ice.record import rtypes
from omero_hcs.sandbox.objects.conditions import api_usage, internal, security
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.sessions import now_ms

# Clients compare numbers: of "5.6.0-sandbox" they get the first part.
VERSION_PATTERN = re.compile(r"\d+\.\d+\.\d+")


class IConfig(Service):
    """Operations of `omero.api.IConfig`."""

    def getVersion(self, current: Any) -> str:
        version = self.server.config["omero.version"]
        found = VERSION_PATTERN.match(version)
        if found is None:
            msg = f"Bad version format:{version}"
            raise internal(msg)
        return found.group()

    def getConfigValue(self, key: str, current: Any) -> str:
        if is_secret(key):
            msg = f"Cannot read configuration: {key}"
            raise security(msg)
        return self.server.config.get(key, "")

    def getConfigValues(self, keyRegex: str, current: Any) -> dict[str, str]:
        return self._matching(self.server.config, keyRegex)

    def getClientConfigValues(self, current: Any) -> dict[str, str]:
        return self._matching(self.server.config, f"^{re.escape(CLIENT_PREFIX)}")

    def getClientConfigDefaults(self, current: Any) -> dict[str, str]:
        return self._matching(dict(DEFAULTS), f"^{re.escape(CLIENT_PREFIX)}")

    def getConfigDefaults(self, current: Any) -> dict[str, str]:
        self.for_admins(current)
        return dict(DEFAULTS)

    @staticmethod
    def _matching(values: dict[str, str], pattern: str) -> dict[str, str]:
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            msg = f"{pattern!r} is no regular expression: {error}"
            raise api_usage(msg) from error
        return {
            key: value for key, value in values.items() if wanted.search(key) and not is_secret(key)
        }

    def setConfigValue(self, key: str, value: str, current: Any) -> None:
        self.for_admins(current)
        self.server.config[key] = value

    def setConfigValueIfEquals(self, key: str, value: str, test: str, current: Any) -> bool:
        with self.world.lock:
            if self.server.config.get(key, "") != test:
                return False
            self.setConfigValue(key, value, current)
            return True

    def getDatabaseUuid(self, current: Any) -> str:
        return self.server.database_uuid

    def getDatabaseTime(self, current: Any) -> Any:
        return rtypes.rtime(now_ms())

    def getServerTime(self, current: Any) -> Any:
        return rtypes.rtime(now_ms())
