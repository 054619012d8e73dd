"""A call names another group, all groups, or another user: in its context, or in the session's."""

from __future__ import annotations

import omero
import pytest
from omero.model import ExperimenterGroupI, TagAnnotationI
from omero.rtypes import rstring


@pytest.fixture
def elsewhere(omero_make_group, omero_make_user, omero_connect):
    """A user who works in his second group, and the id of a tag of his in the first."""
    first, second = omero_make_group(), omero_make_group()
    conn = omero_connect(omero_make_user(first, second))
    tag = TagAnnotationI()
    tag.textValue = rstring("elsewhere")
    number = conn.getUpdateService().saveAndReturnObject(tag).id.val
    conn.c.sf.setSecurityContext(ExperimenterGroupI(second.id, loaded=False))
    return conn.c, first, number


def test_what_is_in_another_group_is_not_loaded(elsewhere):
    client, _, number = elsewhere
    with pytest.raises(omero.SecurityViolation):
        client.sf.getQueryService().get("TagAnnotation", number)


def test_a_call_names_the_group_or_all_groups(elsewhere):
    client, first, number = elsewhere
    query = client.sf.getQueryService()
    for group in (str(first.id), "-1"):
        assert query.get("TagAnnotation", number, {"omero.group": group}).id.val == number


def test_the_clients_own_context_goes_with_every_call(elsewhere):
    client, _, number = elsewhere
    client.getImplicitContext().put("omero.group", "-1")
    assert client.sf.getQueryService().get("TagAnnotation", number).id.val == number


def test_a_proxy_has_a_context_of_its_own(elsewhere):
    client, _, number = elsewhere
    context = client.ic.getImplicitContext().getContext()
    context["omero.group"] = "-1"
    query = client.sf.getQueryService().ice_context(context)
    assert query.get("TagAnnotation", number).id.val == number


def test_a_session_does_not_work_in_all_groups(elsewhere):
    client, _, _ = elsewhere
    with pytest.raises(omero.ApiUsageException):
        client.sf.setSecurityContext(ExperimenterGroupI(-1, loaded=False))


def test_a_new_object_needs_one_group(elsewhere):
    client, first, _ = elsewhere
    tag = TagAnnotationI()
    tag.textValue = rstring("nowhere")
    refused = (omero.SecurityViolation, omero.ApiUsageException)  # it depends on OMERO's version
    with pytest.raises(refused):
        client.sf.getUpdateService().saveAndReturnObject(tag, {"omero.group": "-1"})
    saved = client.sf.getUpdateService().saveAndReturnObject(tag, {"omero.group": str(first.id)})
    assert saved.details.group.id.val == first.id


def test_an_administrator_calls_as_another_user(omero_root, omero_conn, omero_user):
    tag = TagAnnotationI()
    tag.textValue = rstring("his")
    number = omero_conn.getUpdateService().saveAndReturnObject(tag).id.val
    context = {
        "omero.user": str(omero_user.id),
        "omero.group": str(omero_user.groups[0].id),
    }
    assert omero_root.getQueryService().get("TagAnnotation", number, context).id.val == number


def test_an_ordinary_user_calls_as_nobody_else(omero_conn, omero_second_conn, omero_user):
    context = {
        "omero.user": str(omero_user.id),
        "omero.group": str(omero_user.groups[0].id),
    }
    with pytest.raises(omero.SecurityViolation):
        omero_second_conn.getQueryService().findAll("TagAnnotation", None, context)


def test_a_group_that_is_no_number_is_passed_over(omero_conn):
    query = omero_conn.getQueryService()
    assert query.findAll("Project", None, {"omero.group": "no number"}) == []


def test_an_administrator_reads_pixels_of_any_group(omero_root, new_image):
    store = omero_root.c.sf.createRawPixelsStore()
    try:
        store.setPixelsId(new_image().getPixelsId(), False, {"omero.group": "-1"})
        assert store.getByteWidth() == 2
    finally:
        store.close()
