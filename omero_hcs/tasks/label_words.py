"""What people call the kinds of labels, on the command line and in dialogs."""

from __future__ import annotations

from collections.abc import Mapping

from omero_hcs.stores.base import LabelKind

WORDS: Mapping[str, LabelKind] = {
    "roi": "roi",
    "rois": "roi",
    "tag": "tag",
    "tags": "tag",
    "rating": "rating",
    "ratings": "rating",
    "comment": "comment",
    "comments": "comment",
    "key-value": "key-value",
    "key-values": "key-value",
    "dataset": "dataset",
    "datasets": "dataset",
    "file": "file",
}
"""What --labels takes beside a file: the annotations in OMERO that are labels."""

IN_DIALOG = (
    "roi", "tags", "roi,tags", "ratings", "comments", "key-values", "datasets",
)  # fmt: skip
"""Kinds of labels that a dialog offers: what users annotate in OMERO.web, never a file."""
