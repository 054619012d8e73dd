"""The image that a person should look at first."""

from __future__ import annotations

import numpy as np

from omero_hcs.results import Table

ENOUGH = 5
"""Judged cells of an image that says something: one abnormal cell of one is no suspicion."""


def most_suspicious(fields: Table) -> dict[str, str]:
    """Find the field with the largest share of abnormal cells.

    Parameters
    ----------
    fields : Table
        A row a field, as a quality run leaves it.

    Returns
    -------
    dict
        `image`, its id; `where`, "B03 field 1" as people count; `abnormal`, "61%". Empty where no
        field has an abnormal cell.
    """
    if not len(fields) or "abnormal_fraction" not in fields:
        return {}
    fraction = np.nan_to_num(fields["abnormal_fraction"].astype(float), nan=0.0)
    fraction[fields["status"] != "done"] = 0.0
    judged = fields["cells"] + fields["tiles"]
    some = fraction.copy()
    some[judged < ENOUGH] = 0.0
    fraction = some if some.any() else fraction
    if not fraction.any():
        return {}
    worst = int(np.lexsort((-judged, -fraction))[0])
    row = next(fields.where(np.array([worst])).rows())
    image, well = str(row["image"]), row["well"]
    where = f"{well} field {int(row['field']) + 1}" if well else f"image {image}"
    return {"image": image, "where": where, "abnormal": f"{fraction[worst]:.0%}"}
