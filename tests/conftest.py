"""What every test runs in: no network, no settings of the person who runs it, few threads."""

from __future__ import annotations

import contextlib
import os

import pytest

# First of all: the sandbox's server, which some tests run in their own process, has to see IcePy
# before anybody imports omero.
with contextlib.suppress(ImportError):
    from omero_hcs.sandbox.ice import record  # noqa: F401

# Loading these costs nothing: the first test that asks for a server starts it.
pytest_plugins = [
    "omero_hcs.sandbox.pytest_plugin",
    "tests.omero_fixtures",
    "tests.script_fixtures",
    "pytester",
]

# Read by libraries when they are imported, so it has to be there before any test module is.
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # one thread a worker, or they fight over the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _private_settings(tmp_path_factory):
    """Keep ledger, models and configuration of the tests apart from those of the user."""
    folder = tmp_path_factory.mktemp("private")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("OMERO_HCS_") and not name.startswith("OMERO_HCS_TEST_"):
                patch.delenv(name)
        patch.setenv("OMERO_HCS_STATE_DIR", str(folder / "state"))
        patch.setenv("OMERO_HCS_MODELS_DIR", str(folder / "models"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield
