"""The exceptions that OMERO's clients know (`ome.conditions` on the server), ready to be raised."""

from __future__ import annotations

from typing import Any

from omero_hcs.sandbox.ice.record import omero


def api_usage(message: str) -> Exception:
    """Make the error of a call that makes no sense, with objects that are no such."""
    return _condition(omero.ApiUsageException, message)


def validation(message: str) -> Exception:
    """Make the error of data that break a rule of the model."""
    return _condition(omero.ValidationException, message)


def security(message: str) -> Exception:
    """Make the error of something that the caller may not do."""
    return _condition(omero.SecurityViolation, message)


def group_security(message: str) -> Exception:
    """Make the error of objects of different groups that were to be joined."""
    return _condition(omero.GroupSecurityViolation, message)


def read_only_group(message: str) -> Exception:
    """Make the error of somebody who links to what only its owner should see."""
    return _condition(omero.ReadOnlyGroupSecurityViolation, message)


def permission_mismatch(message: str) -> Exception:
    """Make the error of permissions that are not those of the group."""
    return _condition(omero.PermissionMismatchGroupSecurityViolation, message)


def stale(message: str) -> Exception:
    """Make the error of a change to a copy that is older than the object."""
    return _condition(omero.OptimisticLockException, message)


def removed(message: str) -> Exception:
    """Make the error of a session that has ended."""
    return _condition(omero.RemovedSessionException, message)


def internal(message: str) -> Exception:
    """Make the error of a fault of the server itself."""
    return _condition(omero.InternalException, message)


def resource(message: str) -> Exception:
    """Make the error of bytes that can't be read or written as asked."""
    return _condition(omero.ResourceError, message)


def locked(message: str, *, wait_ms: int) -> Exception:
    """Make the error of pixels that are not there yet: ask again after a while."""
    error: Exception = omero.LockTimeout(
        "", "ome.conditions.LockTimeout", message, wait_ms, wait_ms // 1000
    )
    return error


def _condition(kind: Any, message: str) -> Exception:
    error: Exception = kind("", f"ome.conditions.{kind.__name__}", message)
    return error
