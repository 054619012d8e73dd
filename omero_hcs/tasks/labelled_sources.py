"""Where labelled crops come from: plates and images with labels, or folders of crops."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from omero_hcs.errors import InputErrors
from omero_hcs.learning.resize import resized
from omero_hcs.model import Image, Site, Unit
from omero_hcs.results import Table
from omero_hcs.stores.base import Linked, PlateStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.base import Progress, all_units, names_of, no_progress
from omero_hcs.tasks.crop_folder import labelled_of_folder
from omero_hcs.tasks.crop_names import is_crop_folder
from omero_hcs.tasks.examples import examples_of, has_own_planes
from omero_hcs.tasks.label_places import check_labels
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.labels import class_order, digest_of, find_labels, label_sources
from omero_hcs.tasks.qc_choices import SourceParams
from omero_hcs.tasks.sources import joined
from omero_hcs.tasks.survey import PlateSurvey, survey_plate


def _same_params(params: SourceParams, image: Image, plate: str) -> SourceParams:
    return params


def _same_survey(survey: PlateSurvey) -> PlateSurvey:
    return survey


@dataclass(frozen=True)
class Fit:
    """How plates and images are made as a model needs them.

    Parameters
    ----------
    params : callable
        Gives the parameters for a plate, of those asked for, its first image and its name.
    survey : callable
        Changes what was found out about a plate before its cells are cropped.
    scaling : {"qc", "simsearch"}
        How black and white are found.
    """

    params: Callable[[SourceParams, Image, str], SourceParams] = _same_params
    survey: Callable[[PlateSurvey], PlateSurvey] = _same_survey
    scaling: Literal["qc", "simsearch"] = "qc"


AS_IT_IS = Fit()


def labelled_of(
    where: Sequence[str],
    params: SourceParams,
    *,
    fit: Fit = AS_IT_IS,
    progress: Progress = no_progress,
) -> Labelled:
    """Gather the labelled crops of some sources as one.

    Parameters
    ----------
    where : sequence of str
        What `open_store` takes, and folders of labelled crops.
    params : SourceParams
        Which labels, and how cells are cropped.
    fit : Fit
        How plates and images are fitted to a model.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    LabelError
        If there are no labels, of one class only, or too few of a class.
    InputErrors
        With every fault of a folder of crops.
    """
    folders = [one for one in where if is_crop_folder(Path(one), params)]
    others = [one for one in where if one not in folders]
    parts = [labelled_of_folder(Path(one), params, progress) for one in folders]
    if others:
        with contextlib.closing(open_store(joined(others))) as store:
            parts.append(labelled_of_store(store, params, progress, fit=fit))
    return together(parts)


def labelled_of_store(
    store: PlateStore,
    params: SourceParams,
    progress: Progress = no_progress,
    *,
    fit: Fit = AS_IT_IS,
) -> Labelled:
    """Crop what users labelled on the plates and images of a store.

    Raises
    ------
    LabelError
        If there are no labels, of one class only, or too few of a class.
    """
    targets = store.refs()
    found = find_labels(store, targets, label_sources(params))
    check_labels(store, targets, found.table, refuse=params.refuses, planes=has_own_planes(params))
    classes = class_order(found.table, params.normal_class)
    pairs, name = all_units(store, targets, params), names_of(store, targets)
    params = fit.params(params, pairs[0][1].image, name) if pairs else params
    survey = survey_plate(store, pairs, params, name=name, progress=progress, scaling=fit.scaling)
    survey = fit.survey(survey)
    examples = examples_of(store, targets, params, found.table, survey)
    crops = []
    for number, some in enumerate(examples.crops(), 1):
        crops.append(some)
        progress("labelled cells cropped", number, max(number, len(examples.fields)))
    return Labelled(
        name=name,
        crops=np.concatenate(crops),
        table=_linked(store, examples.table, pairs),
        classes=classes,
        channels=survey.channels,
        scale=survey.crop_scale(),
        warnings=(*found.warnings(), *survey.warnings, *examples.warnings()),
        normalization=survey.intensities(),
        labels_sha256=digest_of(found.table),
    )


def together(parts: Sequence[Labelled], *, side: int | None = None) -> Labelled:
    """Join labelled crops of several sources.

    Parameters
    ----------
    parts : sequence of Labelled
        At least one.
    side : int, optional
        What crops are resized to where they differ in size, in pixels; best the encoder's input
        size, so that none is resized twice. That of the first by default.

    Raises
    ------
    InputErrors
        If they have other numbers of channels.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    faults = [
        channels_fault(first, one) for one in parts if len(one.channels) != len(first.channels)
    ]
    if faults:
        raise InputErrors(faults)
    sides = {one.crops.shape[-1] for one in parts}
    size = first.crops.shape[-1] if len(sides) == 1 or side is None else side
    names = {name for one in parts for name in one.classes} - {first.classes[0]}
    columns = [name for name in first.table.columns if all(name in one.table for one in parts)]
    return Labelled(
        name=", ".join(dict.fromkeys(one.name for one in parts)),
        crops=np.concatenate([resized(one.crops, size) for one in parts]),
        table=Table.concat([Table({name: one.table[name] for name in columns}) for one in parts]),
        classes=(first.classes[0], *sorted(names)),
        channels=first.channels,
        scale=first.scale,
        warnings=tuple(text for one in parts for text in one.warnings),
        normalization=first.normalization,
    )


def channels_fault(first: Labelled, other: Labelled) -> str:
    """Say that crops of two sources have other numbers of channels."""
    return (
        f"Crops of {other.name} have {len(other.channels)} channels ({', '.join(other.channels)}), "
        f"those of {first.name} {len(first.channels)} ({', '.join(first.channels)}). Pass "
        "--channels with as many of each."
    )


def _linked(store: PlateStore, table: Table, pairs: Sequence[tuple[Unit, Site]]) -> Table:
    """Add `image`, the id of the image of each row, and `link`, its page in OMERO."""
    images = {unit.id.partition("/z")[0]: unit.image or "" for unit, _ in pairs}
    ids = [images.get(unit.partition("/z")[0], "") for unit in table["unit"].tolist()]
    pages = {
        one: store.link("image", one) if isinstance(store, Linked) and one else ""
        for one in dict.fromkeys(ids)
    }
    return table.with_columns(
        image=np.array(ids, dtype=str), link=np.array([pages[one] for one in ids], dtype=str)
    )
