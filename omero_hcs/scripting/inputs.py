"""What a person gave in a dialog, checked, as a task takes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from omero_hcs import lazy
from omero_hcs.errors import InputError, InputErrors, NotFoundError
from omero_hcs.scripting.catalog import Script
from omero_hcs.scripting.dialog import AGAIN, DATA_TYPE, DRY_RUN, IDS, Shown, shown_fields
from omero_hcs.tasks.given import params_of

_NOTHING = (
    "Nothing is selected. Select a plate, a screen, wells or images in OMERO.web before the script "
    "is opened, or fill in Data_Type and IDs."
)


@dataclass(frozen=True)
class Asked:
    """What a person asks for: objects of one kind, and how the task is to be done."""

    kind: str
    ids: tuple[int, ...]
    params: Any
    dry_run: bool = False
    again: bool = False

    @property
    def place(self) -> str:
        """The objects as the path of an OMERO URI: "plate/51,52"; "" for none."""
        return f"{self.kind.lower()}/{','.join(map(str, self.ids))}" if self.ids else ""


def read_inputs(script: Script, given: Mapping[str, Any]) -> Asked:
    """Check what was given.

    Parameters
    ----------
    script : Script
        The script.
    given : mapping
        Python values by the names of the dialog; what is empty there is missing here.

    Raises
    ------
    InputErrors, ParamsError
        Naming every input that does not fit by what the dialog calls it.
    """
    schema: type[BaseModel] = lazy.load(script.params)
    fields = shown_fields(schema)
    titles = {item.name: item.title for item in fields}
    faults: list[InputError | NotFoundError] = []
    kind, ids = str(given.get(DATA_TYPE, "")), tuple(map(int, given.get(IDS) or ()))
    if script.kinds and not ids:
        faults.append(InputError(_NOTHING))
    values: dict[str, Any] = {}
    for item in fields:
        if item.title in given:
            with _noted(faults):
                value = _from_dialog(script, item, given[item.title])
                if not item.how.under or given.get(item.how.under):
                    values[item.name] = value
                else:
                    _refuse_unticked(script, item, value)
    with _noted(faults):
        naming = titles.get
        params = params_of(
            schema, {**values, **script.fixed}, naming=lambda name: naming(name) or name
        )
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InputErrors([str(fault) for fault in faults])
    return Asked(
        kind,
        tuple(dict.fromkeys(ids)),
        params,
        dry_run=bool(given.get(DRY_RUN)),
        again=bool(given.get(AGAIN)),
    )


def _refuse_unticked(script: Script, shown: Shown, value: Any) -> None:
    """Refuse what was filled in under a box that is not ticked.

    OMERO.web lets people do that, and they would take it for what the run went by. Of a list that
    the server made, it is not known which value was there before.
    """
    usual = shown.field.get_default(call_default_factory=True)
    if shown.how.values:
        usual = usual or shown.how.values[0]
    if shown.name in script.choices or value in ("", None) or str(value) == str(usual):
        return
    msg = (
        f"{shown.title} is filled in, but {shown.how.under} above it is not ticked. Tick "
        f"{shown.how.under}, or put {shown.title} back as it was."
    )
    raise InputError(msg)


@contextlib.contextmanager
def _noted(faults: list[InputError | NotFoundError]) -> Iterator[None]:
    try:
        yield
    except (InputError, NotFoundError) as error:
        faults.append(error)


def _from_dialog(script: Script, shown: Shown, value: Any) -> Any:
    """Count from 0 what the dialog counts from 1, and refuse what its list does not have."""
    if shown.name in script.chosen:
        return lazy.load(script.chosen[shown.name])(str(value))
    if shown.how.values and value not in shown.how.values:
        msg = f"{shown.title} {value!r} must be one of: {', '.join(shown.how.values)}."
        raise InputError(msg)
    if shown.how.from_one and isinstance(value, str) and value.strip().isdecimal():
        number = int(value) - 1
        if number < 0:
            msg = f"{shown.title} counts from 1; {value.strip()} is not there."
            raise InputError(msg)
        return str(number)
    return value.strip() if isinstance(value, str) else value
