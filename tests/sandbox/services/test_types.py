"""ITypes: enumerations, and who may change them."""

from __future__ import annotations

import omero
import pytest
from omero.rtypes import rstring


def named(value):
    kind = omero.model.FormatI()
    kind.value = rstring(value)
    return kind


@pytest.fixture
def types(omero_conn):
    return omero_conn.getTypesService()


def test_an_enumeration_is_found_by_its_value(types):
    assert types.getEnumeration("PixelsType", "uint16").value.val == "uint16"
    assert types.getEnumeration("omero.model.PixelsTypeI", "uint16").id is not None


def test_an_unknown_value_or_kind_is_refused(types):
    with pytest.raises(omero.ApiUsageException, match="no such"):
        types.getEnumeration("PixelsType", "no such")
    with pytest.raises(omero.ApiUsageException):
        types.allEnumerations("Image")
    with pytest.raises(omero.ApiUsageException):
        types.allEnumerations("NoSuchKind")


def test_all_values_are_listed(types):
    listed = {one.value.val for one in types.allEnumerations("DimensionOrder")}
    assert listed == {"XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC"}
    assert "DimensionOrder" in types.getEnumerationTypes()
    entries = types.getEnumerationsWithEntries()
    assert {one.value.val for one in entries["DimensionOrder"]} == listed


def test_what_can_be_annotated_is_listed(types):
    found = types.getAnnotationTypes()
    assert {"Image", "Plate", "Well", "Experimenter"} <= set(found)
    assert "Pixels" not in found


def test_users_may_add_a_value_once_and_administrators_change_it(types, omero_root, omero_people):
    value = f"format of {omero_people.prefix}"
    made = types.createEnumeration(named(value))
    assert types.getEnumeration("Format", value).id.val == made.id.val
    with pytest.raises(omero.ValidationException):
        types.createEnumeration(named(value))
    made.value = rstring(f"another {value}")
    with pytest.raises(omero.SecurityViolation):
        types.updateEnumeration(made)
    admin = omero_root.getTypesService()
    assert admin.updateEnumeration(made).value.val == f"another {value}"
    with pytest.raises(omero.SecurityViolation):
        types.deleteEnumeration(made)
    admin.deleteEnumeration(made)
    with pytest.raises(omero.ApiUsageException):
        types.getEnumeration("Format", f"another {value}")


def test_an_object_with_an_unknown_value_is_not_saved_by_a_user(omero_conn):
    file = omero.model.OriginalFileI()
    file.name, file.path = rstring("a"), rstring("/")
    file.hasher = omero.model.ChecksumAlgorithmI()
    file.hasher.value = rstring("no such algorithm")
    with pytest.raises(omero.SecurityViolation, match="System-type"):
        omero_conn.getUpdateService().saveObject(file)
