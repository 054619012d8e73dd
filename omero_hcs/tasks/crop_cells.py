"""Crop the single cells of a plate: `omero-hcs crop`."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from omero_hcs.errors import InputError
from omero_hcs.jobs.parts import Parts
from omero_hcs.model import ObjectRef, RunSpec, Unit
from omero_hcs.results import CropImages, LabelImage, ResultFile, Results, Table, UnitResult
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.contents import NO_DATASETS
from omero_hcs.tasks.base import (
    CellParams,
    Fingerprint,
    InDialog,
    Outcome,
    Plan,
    Progress,
    Request,
    all_units,
    layout_of,
    names_of,
)

if TYPE_CHECKING:
    from omero_hcs.tasks.crop_choice import FieldCrops, KeptCrops
    from omero_hcs.tasks.crop_files import CropLook
    from omero_hcs.tasks.survey import PlateSurvey

PIXELS = "pixels"

_LIMITED = ("dataset", "zarr", "zip")
_MEDIA_TYPE = "application/zip"


class Params(CellParams):
    """Find the cells of a plate and cut a crop around each."""

    crops: Annotated[
        Literal["auto", "dataset", "zarr", "zip", "table", "none"],
        InDialog(
            name="Crops_As",
            values=("auto", "dataset", "zarr", "zip", "none"),
            hint="dataset: a new dataset of small images that lead back to their cells. zarr: one"
            " OME-Zarr, zip: TIFF files, attached to the plate. none: only the table of cells. auto"
            " is dataset.",
        ),
    ] = Field(
        default="auto",
        description="What crops become: images of a new dataset (in OMERO), one OME-Zarr, a zip of"
        " TIFF files, tables of raw pixels (on disk), or none of these; auto is a dataset in OMERO,"
        " tables on disk.",
    )
    limit: Annotated[int, InDialog(name="Most_Crops")] = Field(
        default=2000,
        ge=1,
        description="Most crops that are kept: of more cells a random sample is drawn, spread"
        " evenly over the fields. Tables keep all.",
    )
    save_masks: bool = Field(
        default=False, description="Keep the segmented nuclei as label images of the plate."
    )


def fingerprint(store: PlateStore, params: Params, request: Request) -> Fingerprint:
    """Nothing but the parameters decides; annotated centres count as labels."""
    from omero_hcs.tasks.labels import positions_digest

    return Fingerprint(labels_sha256=positions_digest(store, request.targets, params))


def plan(store: PlateStore, params: Params, request: Request) -> Plan:
    """Look at the plate, then make one unit a field."""
    from omero_hcs.tasks.survey import survey_plate

    kind = _kind(store, params)
    pairs = all_units(store, request.targets, params)
    name = names_of(store, request.targets)
    survey = survey_plate(store, pairs, params, name=name, progress=request.progress)
    units = tuple(unit for unit, _ in pairs)
    if kind in ("zarr", "zip"):
        _refuse_too_large(store, params, request.targets, survey, len(units))
    context = {
        "survey": survey.model_dump(mode="json"),
        "crops": {"as": kind, "each": params.limit // max(1, len(units))},
    }
    return Plan(units, context)


def work(store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
    """Crop each field; raw pixels go along in a column or a file of the part."""
    from omero_hcs.tasks.cells import FieldError, finder_of
    from omero_hcs.tasks.failures import describe_failure
    from omero_hcs.tasks.labels import annotated_positions

    params = Params.model_validate(spec.params)
    annotated = annotated_positions(store, spec.targets, params)
    for field in finder_of(store, spec, params, annotated=annotated).fields(units):
        if isinstance(field, FieldError):
            yield describe_failure(field.unit, field.error)
            continue
        cells, files = _with_pixels(spec, field)
        masks = {"nuclei": field.nuclei} if params.save_masks and field.nuclei is not None else {}
        yield UnitResult(
            field.unit.id,
            "done",
            cells=cells,
            metrics=field.metrics,
            files=files,
            labels=masks,
            seconds=field.seconds,
        )


def unit_results(spec: RunSpec, unit: Unit, part: UnitResult) -> Results | None:
    """Give a field's crops and mask to the store as soon as they are there."""
    from omero_hcs.tasks.crop_choice import chosen_rows, unpacked

    crops, each = None, spec.context["crops"]["each"]
    if spec.context["crops"]["as"] == "dataset" and each:
        rows = chosen_rows(unit.id, len(part.cells), each, seed=spec.params["seed"])
        crops = unpacked(unit, part, rows)
    return _field_results(spec, unit, part, crops)


def finish(store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
    """Join the fields' cells into one table a plate, and keep the crops that are still missing."""
    from omero_hcs.tasks.crop_choice import KeptCrops, cells_by_unit, shares
    from omero_hcs.tasks.outcome import cell_results

    params, kind = Params.model_validate(spec.params), spec.context["crops"]["as"]
    if kind not in _LIMITED:
        return cell_results(spec, parts, progress=progress, without=(PIXELS,))
    kept: list[int] = []

    def tell(cells: Table) -> tuple[dict[str, Any], list[str]]:
        found = cells_by_unit(cells)
        limit = _limit(store, spec, params)
        counts = [found[unit.id] for unit in parts.units]
        kept.extend(shares(counts, limit, seed=params.seed))
        return _told(kind, sum(kept), sum(counts), limit)

    outcome = cell_results(spec, parts, progress=progress, tell=tell)
    crops = KeptCrops(store, spec, params, parts, kept)
    if kind == "dataset":
        return replace(outcome, of_units=_further_crops(spec, crops, progress))
    results = tuple(_with_file(item, crops, progress) for item in outcome.results)
    return replace(outcome, results=results)


def _kind(store: PlateStore, params: Params) -> str:
    """Tell what crops become.

    Raises
    ------
    InputError
        If the store does not take them so.
    """
    on_server = store.spec.on_server
    if params.crops == "auto":
        return "dataset" if on_server else "table"
    if params.crops == "dataset" and not on_server:
        raise InputError(NO_DATASETS)
    if params.crops == "table" and on_server:
        msg = (
            "In OMERO no tables of pixels are kept: one a field would bury the plate's other "
            "attachments. Pass --crops dataset, zarr or zip."
        )
        raise InputError(msg)
    return params.crops


def _refuse_too_large(
    store: PlateStore,
    params: Params,
    targets: Sequence[ObjectRef],
    survey: PlateSurvey,
    fields: int,
) -> None:
    from omero_hcs.tasks.crop_files import refuse_too_large

    nuclei = survey.nuclei_per_field if params.centres == "nuclei" else None
    count = params.limit if nuclei is None else min(params.limit, math.ceil(nuclei * fields))
    look = _look(store, survey, targets[0])
    refuse_too_large(look, math.ceil(count / len(targets)), on_server=store.spec.on_server)


def _with_pixels(spec: RunSpec, field: Any) -> tuple[Table, Mapping[str, bytes]]:
    """Cells of a field, and with them or beside them the pixels that may be kept."""
    from omero_hcs.tasks.crop_choice import chosen_rows, packed

    kind, each = spec.context["crops"]["as"], spec.context["crops"]["each"]
    if kind == "table":
        width = math.prod(field.crops.shape[1:])
        return field.table.with_columns(**{PIXELS: field.crops.reshape(-1, width)}), {}
    if kind not in _LIMITED:
        return field.table, {}
    # Twice its share: other fields may have fewer cells than theirs.
    most, seed = 2 * max(1, each), spec.params["seed"]
    rows = chosen_rows(field.unit.id, len(field.table), most, seed=seed)
    return field.table, packed(rows, field.crops[rows])


def _field_results(
    spec: RunSpec, unit: Unit, part: UnitResult, crops: FieldCrops | None
) -> Results | None:
    plane = unit.z if isinstance(unit.z, int) else 0
    masks = tuple(
        LabelImage(unit.image or "", f"hcs_{name}_{spec.run_id}", pixels, z=plane, t=unit.t)
        for name, pixels in part.labels.items()
    )
    has_table = PIXELS in part.cells and len(part.cells) > 0
    if not masks and not has_table and crops is None:
        return None
    table = _only(part.cells, ("cell", "y", "x", PIXELS)) if has_table else None
    return Results(
        run_id=spec.run_id,
        key=spec.key,
        task=spec.task,
        target=unit.target,
        unit=unit.id,
        tables={} if table is None else {"crops": table},
        labels=masks,
        crops=None if crops is None else _images(spec, unit, crops),
    )


def _images(spec: RunSpec, unit: Unit, crops: FieldCrops) -> CropImages:
    survey = spec.context["survey"]
    channels = tuple(survey["channels"])
    ranges = _ranges(survey["normalization"], is_float=crops.pixels.dtype.kind == "f")
    return CropImages(unit.image or "", crops.cells, crops.pixels, channels, ranges, unit.z)


def _ranges(levels: Mapping[str, Any], *, is_float: bool) -> tuple[tuple[float, float], ...]:
    """Grey values between which each channel is shown: whole ones where pixels are."""
    pairs = zip(levels["black"], levels["white"], strict=True)
    if is_float:
        return tuple((low, high if high > low else low + 1.0) for low, high in pairs)
    return tuple(
        (float(round(low)), max(float(round(high)), round(low) + 1.0)) for low, high in pairs
    )


def _look(store: PlateStore, survey: PlateSurvey, target: ObjectRef) -> CropLook:
    """Describe what the crops of one target have in common."""
    import numpy as np

    from omero_hcs.tasks.crop_files import CropLook

    layout = layout_of(store, target)
    images = [site.image for site in layout.sites()]
    dtype = np.result_type(*{np.dtype(image.dtype) for image in images})
    levels = survey.normalization
    return CropLook(
        name=layout.name,
        channels=tuple(images[0].channel(name) for name in survey.channels),
        ranges=_ranges(levels, is_float=dtype.kind == "f"),
        pixel_size_um=images[0].pixel_size_um,
        dtype=dtype,
        side=survey.crop_scale().side_px,
    )


def _limit(store: PlateStore, spec: RunSpec, params: Params) -> int:
    """Most crops that are kept, and that a file holds."""
    from omero_hcs.tasks.crop_files import most_in_file
    from omero_hcs.tasks.survey import PlateSurvey

    if spec.context["crops"]["as"] == "dataset":
        return params.limit
    survey = PlateSurvey.model_validate(spec.context["survey"])
    return min(params.limit, *(most_in_file(_look(store, survey, one)) for one in spec.targets))


def _told(kind: str, kept: int, found: int, limit: int) -> tuple[dict[str, Any], list[str]]:
    """Say what becomes of the crops, for a summary, and in sentences."""
    forms = {
        "dataset": (
            "images of a dataset",
            "are images of a new dataset, each with its source",
        ),
        "zarr": ("one OME-Zarr", "are one OME-Zarr in a zip, with a table of their cells"),
        "zip": ("a zip of TIFF files", "are TIFF files in a zip, with a table of their cells"),
    }
    if not kept:
        return {"crops": "none"}, []
    of_all = f"{kept} of {found}" if kept < found else str(kept)
    form, sentence = forms[kind]
    told = {"crops": f"{of_all}, {form}", "told": f"{of_all} crops {sentence}."}
    warning = (
        f"Only {limit} crops are kept, of {found}: a random sample, spread evenly over the fields. "
        "Pass a larger --limit to keep more."
    )
    return told, [warning] * (kept < found)


def _further_crops(spec: RunSpec, crops: KeptCrops, progress: Progress) -> Iterator[Results]:
    """Yield the fields of which more crops are kept than their equal share, whole."""
    each, parts = spec.context["crops"]["each"], crops.parts
    for index, unit in enumerate(parts.units):
        progress("keeping crops", index + 1, len(parts))
        part = parts[index]
        if len(part.cells) > each:
            results = _field_results(spec, unit, part, crops.of(index))
            if results is not None:
                yield results


def _with_file(results: Results, crops: KeptCrops, progress: Progress) -> Results:
    """Add the file of the crops of one target to its results."""
    from omero_hcs.tasks.crop_files import NAMES, WRITERS
    from omero_hcs.tasks.survey import PlateSurvey

    kind, units = crops.spec.context["crops"]["as"], crops.parts.units
    own = [index for index, unit in enumerate(units) if unit.target == results.target]
    count = sum(crops.shares[index] for index in own)
    if not count:
        return results
    survey = PlateSurvey.model_validate(crops.spec.context["survey"])
    look = _look(crops.store, survey, results.target)
    with tempfile.TemporaryDirectory(dir=crops.spec.work_dir) as folder:
        path = Path(folder) / NAMES[kind]
        WRITERS[kind](path, look, count, _watched(crops.each(own), len(own), progress))
        file = ResultFile(path.name, _MEDIA_TYPE, path.read_bytes())
    return replace(results, files=(*results.files, file))


def _watched(fields: Iterator[FieldCrops], count: int, progress: Progress) -> Iterator[FieldCrops]:
    for number, field in enumerate(fields, 1):
        yield field
        progress("packing crops", number, count)


def _only(table: Table, names: Sequence[str]) -> Table:
    return Table({name: table[name] for name in names})
