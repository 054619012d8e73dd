"""Unit tests of the sandbox's server need it to see IcePy before anybody imports omero here."""

from omero_hcs.sandbox.ice import record  # noqa: F401
