"""Every error this package raises on purpose.

The tree, with the builtin each one also is, so that callers may catch either::

    HcsError
    ├── InputError (ValueError)            something the user gave does not fit
    │   ├── InputErrors                    several of them, found in one check
    │   ├── ParamsError                    a parameter of a task
    │   ├── SettingsError                  a configuration file or variable
    │   ├── LabelError                     labels that cannot be used
    │   └── ScaleMismatchError             crops of another scale than the model's
    ├── MissingExtraError (ImportError)    an optional dependency is not installed
    ├── NotFoundError (LookupError)        something named is not there
    │   ├── PlateNotFoundError
    │   ├── ImageNotFoundError
    │   ├── ChannelNotFoundError
    │   ├── ModelNotFoundError
    │   ├── WeightsNotFoundError
    │   └── RunNotFoundError
    ├── DataError (OSError)                pixels or files that cannot be read
    │   └── ChecksumError                  a file is not the one it should be
    ├── FormatVersionError (ValueError)    a stored file of a newer or unknown version
    ├── WriteError (OSError)               results that could not be written
    ├── LoginError (PermissionError)       a server let nobody in
    ├── NotAllowedError (PermissionError)  the user may not do that with this object
    ├── ServerLostError (ConnectionError)  a server went away, and did not come back
    ├── RunBusyError (RuntimeError)        another process is working on the same run
    ├── SandboxError (RuntimeError)        the sandbox or its OMERO.web did not start
    └── CancelledError (RuntimeError)      the user stopped the run

Messages say what is wrong, with which object, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence


class HcsError(Exception):
    """Base of every error raised on purpose by omero-hcs."""


class InputError(HcsError, ValueError):
    """Something the user gave does not fit; the message names the mend."""


class InputErrors(InputError):  # noqa: N818  (the plural says what it is)
    """Several faults found in one check, reported together.

    Parameters
    ----------
    faults : sequence of str
        One message a fault, each complete in itself.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        head = "1 problem was found" if count == 1 else f"{count} problems were found"
        super().__init__("\n".join([f"{head}:", *(f"  - {fault}" for fault in self.faults)]))

    def __reduce__(self) -> tuple[type[InputErrors], tuple[tuple[str, ...]]]:
        """Pickle by the faults, so that errors survive a trip between processes."""
        return (type(self), (self.faults,))


class ParamsError(InputError):
    """A task parameter is missing, unknown or out of range."""


class SettingsError(InputError):
    """A configuration file or an environment variable cannot be used."""


class LabelError(InputError):
    """The labels given cannot be used for training or evaluation."""


class ScaleMismatchError(InputError):
    """The plate's crops are of another scale than the model was trained on."""


class MissingExtraError(HcsError, ImportError):
    """An optional dependency is not installed; the message has the pip command."""


class NotFoundError(HcsError, LookupError):
    """Something that was named does not exist; the message lists what does."""


class PlateNotFoundError(NotFoundError):
    """No such plate or image set in the store."""


class ImageNotFoundError(NotFoundError):
    """No such image in the store."""


class ChannelNotFoundError(NotFoundError):
    """No such channel in the image."""


class ModelNotFoundError(NotFoundError):
    """No such model file or model name."""


class WeightsNotFoundError(NotFoundError):
    """An encoder's weights were found nowhere; the message lists where it looked."""


class RunNotFoundError(NotFoundError):
    """No such run in the ledger or in the store."""


class DataError(HcsError, OSError):
    """Pixels or files that cannot be read: truncated, unreadable, of mixed shape."""


class ChecksumError(DataError):
    """A file's sha256 is not the expected one."""


class FormatVersionError(HcsError, ValueError):
    """A stored file has a schema version that this release cannot read."""


class WriteError(HcsError, OSError):
    """Results could not be written; nothing half-written is left."""


class LoginError(HcsError, PermissionError):
    """A server was not reached, or let nobody in; the message says what was tried."""


class NotAllowedError(HcsError, PermissionError):
    """The user may not do that with this object; the message says who may."""


class ServerLostError(HcsError, ConnectionError):
    """The connection to a server was lost, and one try to get it back failed."""


class RunBusyError(HcsError, RuntimeError):
    """Another process is working on the same run."""


class SandboxError(HcsError, RuntimeError):
    """The sandbox server or its OMERO.web did not start; the message has the end of its log."""


class CancelledError(HcsError, RuntimeError):
    """The run was stopped on request; what is done stays done."""
