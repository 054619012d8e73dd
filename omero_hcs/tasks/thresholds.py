"""By which thresholds a run judges: those asked for, else the assay's, else the usual ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import Field, ValidationError

from omero_hcs.errors import ParamsError
from omero_hcs.settings import Settings, Thresholds


class Asked(Protocol):
    """Parameters with the name of an assay, and a field for each threshold (None: not asked)."""

    @property
    def assay(self) -> str | None:
        """Name of the assay."""


def threshold(name: str, **limits: Any) -> Any:
    """Make the parameter of a task that stands for a threshold; without it the assay's counts."""
    field = Thresholds.model_fields[name]
    usual = "" if field.default is None else f" By default the assay's, or {field.default:g}."
    return Field(default=None, description=f"{field.description}{usual}", **limits)


def thresholds_for(params: Asked, settings: Settings) -> Thresholds:
    """Find the thresholds of a request.

    Raises
    ------
    ParamsError
        If there is no such assay, or what is asked for does not fit together.
    """
    if params.assay is not None and params.assay not in settings.assays:
        known = ", ".join(settings.assays) or "none; the settings file has a table for each"
        msg = f"There is no assay {params.assay!r}. There are: {known}."
        raise ParamsError(msg)
    base = settings.assays[params.assay] if params.assay is not None else Thresholds()
    asked = {name: getattr(params, name) for name in Thresholds.model_fields}
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        return Thresholds.model_validate({**base.model_dump(), **given})
    except ValidationError as error:
        faults = [fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
        msg = f"The thresholds do not fit together: {'; '.join(faults)}."
        raise ParamsError(msg) from None


def with_artefacts(thresholds: Thresholds, classes: Sequence[str]) -> Thresholds:
    """Say which classes of a model count as artefacts.

    Parameters
    ----------
    thresholds : Thresholds
        Without `artefacts` all classes but the normal one are.
    classes : sequence of str
        Classes of the model, the normal one first.

    Raises
    ------
    ParamsError
        If the model has no such class, or it is the normal one.
    """
    known = tuple(classes[1:])
    wrong = [name for name in thresholds.artefacts or () if name not in known]
    if wrong:
        msg = (
            f"--artefacts (or the assay) names {', '.join(wrong)}. The model's classes that can be "
            f"artefacts are: {', '.join(known)}. Name some of these."
        )
        raise ParamsError(msg)
    return thresholds.model_copy(update={"artefacts": thresholds.artefacts or known})


def thresholds_used(record: Mapping[str, Any]) -> Thresholds:
    """Read back by which thresholds a run judged.

    Parameters
    ----------
    record : mapping
        The run's context or its `run.json`; runs of version 0.1 had a `warn` and a `fail` alone.
    """
    classes = tuple(record["classes"])
    if record.get("thresholds"):
        return Thresholds.model_validate(record["thresholds"])
    params = record.get("params", {})
    old = {name: params[name] for name in ("warn", "fail") if params.get(name) is not None}
    return Thresholds(**old, artefacts=classes[1:])


def described(thresholds: Thresholds, *, assay: str | None = None) -> str:
    """Tell thresholds in one line: "field warns from 20 %, fails from 50 % abnormal cells; ..."."""
    plate = f"warns from {thresholds.plate_warn:.0%}, fails from {thresholds.plate_fail:.0%}"
    parts = [
        f"field warns from {thresholds.warn:.0%}, fails from {thresholds.fail:.0%} abnormal cells",
        f"well fails from {thresholds.well_fail:.0%} failed fields",
        f"plate {plate} failed wells",
    ]
    if thresholds.min_cells:
        parts.append(f"a field needs {thresholds.min_cells} nuclei")
    if thresholds.artefacts is not None and len(thresholds.artefacts) > 1:
        parts.append(f"abnormal are {', '.join(thresholds.artefacts)}")
    of = f"assay {assay}: " if assay else ""
    return f"{of}{'; '.join(parts)}".replace("%", " %")
