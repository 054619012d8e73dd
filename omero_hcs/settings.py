"""Settings of an installation, and where each value came from.

Precedence: command-line option > environment `OMERO_HCS_*` > file named by `OMERO_HCS_CONFIG` >
`~/.config/omero-hcs.toml` > `/etc/omero-hcs.toml` > default. Inside an OMERO script only the file
in `/etc` counts: a user must not be able to point the server at a file of his own.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from omero_hcs.errors import SettingsError

PREFIX = "OMERO_HCS_"
CONFIG_VARIABLE = "OMERO_HCS_CONFIG"
SCRIPT_VARIABLE = "OMERO_HCS_IN_SCRIPT"
"""Set by the launcher of scripts for itself and what it starts: only the file in `/etc` counts."""

HUB_OFFLINE = "HF_HUB_OFFLINE"
"""By which Hugging Face's library is told that there is no network."""

_NOT_SETTINGS = {CONFIG_VARIABLE, SCRIPT_VARIABLE, "OMERO_HCS_WHEELS"}
_TEST_PREFIX = "OMERO_HCS_TEST_"


def _state_dir() -> Path:
    return platformdirs.user_state_path("omero-hcs", appauthor=False)


def _models_dir() -> Path:
    return platformdirs.user_data_path("omero-hcs", appauthor=False) / "models"


def _listed(value: Any) -> Any:
    """Split what a variable holds, "Dose, Concentration", as a file's list is split already."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Keys = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Names in order of preference; in the environment they are separated by commas."""


Share = Annotated[float, Field(ge=0, le=1)]


class Thresholds(BaseModel):
    """From when on cells, fields and wells make a field, a well, a plate warn or fail.

    An installation names some for its assays, as `[assays.NAME]` in its file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    warn: Share = Field(
        default=0.2, description="Abnormal fraction from which on a field, or a well, warns."
    )
    fail: Share = Field(
        default=0.5, description="Abnormal fraction from which on a field, or a well, fails."
    )
    well_fail: Share = Field(
        default=0.5,
        description="Share of failed fields from which on a well fails; with any it warns.",
    )
    plate_warn: Share = Field(
        default=0.1, description="Share of failed wells from which on a plate warns."
    )
    plate_fail: Share = Field(
        default=0.25, description="Share of failed wells from which on a plate fails."
    )
    min_cells: int = Field(
        default=0,
        ge=0,
        description="Nuclei that a field must have, or it fails; never less than a tenth of what"
        " is usual on the plate.",
    )
    artefacts: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Classes that count as abnormal; by default all but the normal one.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for warn, fail in (("warn", "fail"), ("plate_warn", "plate_fail")):
            low, high = getattr(self, warn), getattr(self, fail)
            if low > high:
                msg = f"{warn} ({low:g}) must not be above {fail} ({high:g})"
                raise ValueError(msg)
        return self


class Settings(BaseModel):
    """What can be set for an installation, by these names in a file or in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state_dir: Path = Field(
        default_factory=_state_dir,
        description="Folder of the ledger, the runs' parts and the logs; on a local disk.",
    )
    models_dir: Path = Field(
        default_factory=_models_dir, description="Folder in which trained models are kept by name."
    )
    engine: Literal["local"] = Field(
        default="local", description="Who works units off: this machine."
    )
    device: str = Field(
        default="auto", description="Where tensors are: auto, cpu, cuda, cuda:1 or mps."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="fp32",
        description="Number format of inference; auto takes bf16 where it is fast, which changes"
        " verdicts of cells near the border (docs/benchmarks.md).",
    )
    threads: int = Field(
        default=0, ge=0, description="CPU threads of a worker; 0 takes what the machine has."
    )
    allow_hub: bool = Field(
        default=False, description="Whether encoder weights may be downloaded from a model hub."
    )
    offline: bool = Field(
        default=False,
        description="Whether there is no network here: no model hub is ever tried, and allow_hub"
        " is refused.",
    )
    omero_user: str | None = Field(
        default=None, description="User name for OMERO, where the URI names none."
    )
    omero_password: SecretStr | None = Field(
        default=None, description="Password for OMERO; better in a file, or asked for."
    )
    omero_password_file: Path | None = Field(
        default=None, description="File whose first line is the password for OMERO."
    )
    omero_session: SecretStr | None = Field(
        default=None, description="Key of an OMERO session to join instead of logging in."
    )
    omero_session_file: Path | None = Field(
        default=None, description="File whose first line is the key of an OMERO session."
    )
    omero_readers: int = Field(
        default=2, ge=1, le=16, description="Connections over which pixels are read at once."
    )
    omero_mount: Path | None = Field(
        default=None,
        description="Where OMERO's ManagedRepository is mounted, to read original files in place.",
    )
    omero_web: str | None = Field(
        default=None,
        description="Address of OMERO.web, such as https://omero.example.org, for links in reports"
        " and messages.",
    )
    cpu_limit_minutes: float = Field(
        default=30.0,
        gt=0,
        description="Longest run of a script, by its estimate, on a processor without a GPU.",
    )
    omero_treatment_keys: Keys = Field(
        default=(
            "Treatment", "Compound Name", "Compound", "Drug", "Reagent", "Chemical Name",
            "siRNA Identifier", "siRNA Pool Identifier", "sgRNA Identifier", "Gene Symbol",
            "Gene Identifier",
        ),
        description="Keys of OMERO's key-values, or columns of its tables, that name what was put"
        " into a well; the first that a well has counts.",
    )  # fmt: skip
    omero_dose_keys: Keys = Field(
        default=(
            "Dose", "Concentration", "Compound Concentration", "Drug Concentration",
            "Final Concentration",
        ),
        description='Keys that tell its dose: 15.6, or "15.6 nM".',
    )  # fmt: skip
    omero_dose_unit_keys: Keys = Field(
        default=(
            "Dose Unit", "Unit", "Units", "Concentration Unit", "Concentration Units",
            "Compound Concentration Unit",
        ),
        description='Keys that tell the unit of the dose, where neither its value nor a "(unit)"'
        " after its key does.",
    )  # fmt: skip
    omero_role_keys: Keys = Field(
        default=("Role", "Control Type", "Control", "Well Role", "Well Type"),
        description="Keys that tell whether a well is a negative control, a positive control, a"
        " treatment or empty.",
    )
    assays: dict[str, Thresholds] = Field(
        default_factory=dict,
        description="Thresholds of quality checks by the name of an assay, each a table"
        " `[assays.NAME]` in a file.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="How much goes into the log files."
    )

    @model_validator(mode="after")
    def _no_hub_offline(self) -> Self:
        if self.offline and self.allow_hub:
            msg = "offline and allow_hub are both on. Switch one of them off"
            raise ValueError(msg)
        return self

    @field_validator("state_dir", "models_dir")
    @classmethod
    def _whole(cls, folder: Path) -> Path:
        """Take "~" as the user's home, and the same folder wherever a command is started."""
        try:
            return folder.expanduser().absolute()
        except RuntimeError as error:
            raise ValueError(str(error)) from error


def is_in_script() -> bool:
    """Whether this process is a script of OMERO, or was started by one."""
    return bool(os.environ.get(SCRIPT_VARIABLE))


@dataclass(frozen=True)
class LoadedSettings:
    """Settings, and for each of them where its value came from."""

    values: Settings
    origins: Mapping[str, str]

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """(name, value, origin) of each setting; secrets are masked."""
        for name in type(self.values).model_fields:
            value = getattr(self.values, name)
            if name == "assays":
                yield from self._assays()
                continue
            yield name, _shown(value), self.origins.get(name, "default")

    def _assays(self) -> Iterator[tuple[str, str, str]]:
        """Tell of each assay what it sets; the rest is as everywhere."""
        for name, assay in self.values.assays.items():
            told = [
                f"{key} {_shown(getattr(assay, key))}" for key in sorted(assay.model_fields_set)
            ]
            key = f"assays.{name}"
            yield key, ", ".join(told), self.origins.get(key, "default")


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    in_script: bool = False,
    schema: type[Settings] = Settings,
) -> LoadedSettings:
    """Collect the settings from options, environment and files.

    Where they say `offline`, Hugging Face's library is told so too, in this process and in what it
    starts: it is loaded after the settings.

    Parameters
    ----------
    overrides : mapping, optional
        Values given on the command line; None values are skipped.
    environ : mapping, optional
        The environment; `os.environ` by default.
    in_script : bool
        True inside an OMERO script: only `/etc/omero-hcs.toml` is read.
    schema : type
        The settings model, for tests and extensions.

    Raises
    ------
    SettingsError
        For an unknown key, a value of the wrong type, a file that cannot be read, or a file with
        a secret that others can read. The message names the file or variable.
    """
    environ = os.environ if environ is None else environ
    in_script = in_script or bool(environ.get(SCRIPT_VARIABLE))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, found in _layers(environ, schema, in_script=in_script):
        before, assays = values.get("assays"), found.get("assays")
        values |= found
        origins |= dict.fromkeys(found, origin)
        if isinstance(assays, dict):
            origins |= {f"assays.{name}": origin for name in assays}
            if isinstance(before, dict):  # a file adds to those of the files before it
                values["assays"] = {**before, **assays}
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    values |= given
    origins |= dict.fromkeys(given, "command line")
    try:
        loaded = LoadedSettings(schema.model_validate(values), origins)
    except ValidationError as error:
        faults = [_explain(fault, origins, schema) for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from None
    if loaded.values.offline and environ is os.environ:
        os.environ[HUB_OFFLINE] = "1"
    return loaded


def config_files(environ: Mapping[str, str], *, in_script: bool = False) -> tuple[Path, ...]:
    """Files that may hold settings, weakest first; they need not exist."""
    system = Path("/etc/omero-hcs.toml")
    if in_script:
        return (system,)
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    named = environ.get(CONFIG_VARIABLE)
    return (system, home / "omero-hcs.toml", *([Path(named)] if named else []))


def _layers(
    environ: Mapping[str, str], schema: type[Settings], *, in_script: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    named = environ.get(CONFIG_VARIABLE)
    for path in config_files(environ, in_script=in_script):
        if path.is_file():
            yield str(path), _read_file(path, schema)
        elif named and path == Path(named):
            msg = f"{CONFIG_VARIABLE} names {path}, which is no file."
            raise SettingsError(msg)
    if in_script:
        return
    for name, value in environ.items():
        ours = name.startswith(PREFIX) and not name.startswith(_TEST_PREFIX)
        # An empty variable is how shells and compose files say "not set".
        if ours and value and name not in _NOT_SETTINGS:
            yield f"environment {name}", {name.removeprefix(PREFIX).lower(): value}


def _read_file(path: Path, schema: type[Settings]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"The settings file {path} cannot be read: {error}."
        raise SettingsError(msg) from error
    secrets = sorted(_secret_names(schema) & set(values))
    if secrets and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        msg = (
            f"The settings file {path} holds a secret ({', '.join(secrets)}) that others can read. "
            f"Close it with: chmod 600 {path}"
        )
        raise SettingsError(msg)
    return values


def _secret_names(schema: type[Settings]) -> set[str]:
    fields = schema.model_fields.items()
    return {name for name, field in fields if SecretStr.__name__ in str(field.annotation)}


def _explain(fault: Any, origins: Mapping[str, str], schema: type[Settings]) -> str:
    told = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        both = [f"{name} by {origins[name]}" for name in ("offline", "allow_hub")]
        return f"{told} (set: {', '.join(both)})."
    *within, name = (str(part) for part in fault["loc"])
    place = ".".join([*within, name])
    origin = next(
        (
            origins[key]
            for key in (place, ".".join(within), place.partition(".")[0])
            if key in origins
        ),
        "settings",
    )
    if fault["type"] == "extra_forbidden":
        known = Thresholds.model_fields if within else schema.model_fields
        where = f" of {'.'.join(within)}" if within else ""
        return f"{origin}: unknown setting {name!r}{where}. Known are: {', '.join(known)}."
    return f"{origin}: {place}: {told}."
