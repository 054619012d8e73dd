from __future__ import annotations

from omero_hcs.report.data import Thumbnail
from omero_hcs.report.overlay import LEAST_ABNORMAL, MAX_BYTES, MOST_ABNORMAL, field_views


def _thumbnail(label, abnormal, cells=10, jpeg=b"x"):
    boxes = tuple((0.0, 0.0, 8.0, 8.0, i < abnormal) for i in range(cells))
    return Thumbnail(label, jpeg, boxes, (100, 100))


def test_all_fields_are_shown_where_they_are_few_most_abnormal_first():
    views = field_views([_thumbnail("a", 1), _thumbnail("b", 5), _thumbnail("c", 3)])
    assert [view.thumbnail.label for view in views.views] == ["b", "c", "a"]
    assert views.rule.startswith("All 3 fields")


def test_of_many_fields_both_ends_are_shown_and_the_rule_is_told():
    many = [_thumbnail(f"f{n:03d}", n, cells=200) for n in range(100)]
    views = field_views(many)
    labels = [view.thumbnail.label for view in views.views]
    assert labels[0] == "f099"
    assert labels[-1] == "f000"
    assert len(labels) == MOST_ABNORMAL + LEAST_ABNORMAL
    assert f"{len(labels)} of 100 fields" in views.rule


def test_large_pictures_do_not_make_a_large_page():
    views = field_views([_thumbnail(str(n), n, jpeg=b"x" * (MAX_BYTES // 4)) for n in range(8)])
    assert len(views.views) == 3
    assert views.rule.startswith("3 of 8 fields")


def test_boxes_are_drawn_in_pixels_of_the_original():
    boxes = ((10.0, 20.0, 40.0, 60.0, True), (1.0, 2.0, 3.0, 5.0, False))
    view = field_views([Thumbnail("a", b"x", boxes, (100, 100))]).views[0]
    assert view.abnormal_path == "M20 10h40v30h-40z"
    assert view.normal_path == "M2 1h3v2h-3z"
