"""What a run of each task would write, told in words before it is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omero_hcs.model import Layout, Plate
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import Plan, Request, TaskParams, layout_of
from omero_hcs.tasks.keeping import kept_with, screens_of
from omero_hcs.tasks.qc_notes import TAGGED


def would_write(
    task: str, params: TaskParams, plan: Plan, store: PlateStore, request: Request
) -> dict[str, Any]:
    """Tell what a run would leave, by kind.

    Parameters
    ----------
    task : str
        A key of `tasks.base.TASKS`.
    params : TaskParams
        The task's own `Params`.
    plan : Plan
        What it would do.
    store : PlateStore
        Where the results go.
    request : Request
        The objects.
    """
    layouts = [layout_of(store, target) for target in request.targets]
    told = _BY_TASK[task](params.model_dump(mode="json"), plan, layouts)
    screens = kept_with(task, store, ())
    names = [repr(item.name) for item in screens_of(store) if item.ref in screens]
    overview = f"overview.html, overview.png on screen {_and(names)}" if names else ""
    return {**told, "overview": overview}


def _of_crops(params: Mapping[str, Any], plan: Plan, layouts: list[Layout]) -> dict[str, Any]:
    each = f"{len(plan.units)}, one a field"
    most = _expected(plan, params["limit"])
    sets = " or ".join(dict.fromkeys(repr(f"Crops of {layout.name} ...") for layout in layouts[:3]))
    crops = {
        "dataset": f"{most}: images in {_count(len(layouts), 'new dataset')}, {sets}",
        "zarr": f"{most}: crops.ome.zarr.zip ({_each(layouts)})",
        "zip": f"{most}: crops.zip ({_each(layouts)})",
        "table": f"tables of pixels: {each}",
        "none": "",
    }
    return {
        "tables": f"cells, fields ({_each(layouts)})",
        "crops": crops[plan.context["crops"]["as"]],
        "label images": f"masks of nuclei: {each}" if params["save_masks"] else "",
        "files": "run.json",
    }


def _expected(plan: Plan, limit: int) -> str:
    """Say how many crops there will be, as far as the sample that was looked at tells."""
    each = plan.context["survey"]["nuclei_per_field"]
    if not each:
        return f"at most {limit}"
    cells = round(each * len(plan.units))
    return f"{limit} of about {cells}" if cells > limit else f"about {cells} (at most {limit})"


def _of_verdicts(params: Mapping[str, Any], plan: Plan, layouts: list[Layout]) -> dict[str, Any]:
    plates = [layout for layout in layouts if isinstance(layout, Plate)]
    wells = sum(bool(well.fields) for plate in plates for well in plate.wells)
    images = sum(1 for layout in layouts for _ in layout.sites())
    budget, wanted = params["rois"], params["key_values"]
    on_plates = [_count(len(plates), "plate")] * bool(plates)
    on_wells = [_count(wells, "well")] * bool(plates)
    on_images = [_count(images, "image")]
    tagged = on_wells + on_images * params["tag_images"]
    noted = {
        "none": [],
        "plate": on_plates,
        "wells": on_plates + on_wells,
        "all": on_plates + on_wells + on_images,
    }[wanted]
    asked = params.get("suggest", 0)
    return {
        "ROIs": f"at most {budget} an image, {budget * images} in all" if budget else "",
        "suggestions": f"at most {asked} more ROIs, 'label me?'" if asked else "",
        "tags": _tags(params["tag"], tagged),
        "key-values": f"on {_and(noted)}" if noted else "",
        "tables": f"cells, fields{', wells' * bool(plates)} ({_each(layouts)})",
        "files": f"report.html, {'heatmap.png, ' * bool(plates)}gallery.png, run.json"
        + ", suggestions.csv, suggestions.png" * bool(asked),
        "left out": "" if len(plates) == len(layouts) else _no_plates(layouts),
    }


def _tags(text: str, tagged: list[str]) -> str:
    if not text or not tagged:
        return ""
    texts = dict.fromkeys(repr(text.replace("{verdict}", verdict)) for verdict in TAGGED)
    return f"{' or '.join(texts)} on those of {_and(tagged)} that warn or fail"


def _of_training(params: Mapping[str, Any], plan: Plan, layouts: list[Layout]) -> dict[str, Any]:
    names = _and([repr(layout.name) for layout in layouts])
    return {
        "model": plan.context["output"],
        "upload": f"the model, attached to {names}" if params.get("upload") else "",
    }


def _of_features(params: Mapping[str, Any], plan: Plan, layouts: list[Layout]) -> dict[str, Any]:
    plates = sum(isinstance(layout, Plate) for layout in layouts)
    profiles = "profiles.csv.gz (one row a well), " if params["profiles"] and plates else ""
    numbers = plan.context["encoder"]["features"]
    return {
        "tables": f"embeddings ({numbers} numbers a cell), fields ({_each(layouts)})",
        "files": f"{profiles}run.json",
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _each(layouts: list[Layout]) -> str:
    return "one of each" if len(layouts) == 1 else f"one of each for each of {len(layouts)} objects"


def _no_plates(layouts: list[Layout]) -> str:
    names = _and([repr(item.name) for item in layouts if not isinstance(item, Plate)])
    return f"what is about wells, and the heat-map: no plate is {names}"


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if words[1:] else "".join(words)


_BY_TASK: Mapping[str, Callable[[Mapping[str, Any], Plan, list[Layout]], dict[str, Any]]] = {
    "crop_cells": _of_crops,
    "apply_qc": _of_verdicts,
    "train_qc": _of_training,
    "embed_cells": _of_features,
}
