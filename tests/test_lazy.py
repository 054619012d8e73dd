"""Loading by name, and what is said when something is not installed."""

from __future__ import annotations

import json

import pytest

from omero_hcs import lazy
from omero_hcs.errors import MissingExtraError


def test_a_module_or_one_of_its_attributes_is_loaded():
    assert lazy.load("json") is json
    assert lazy.load("json:dumps") is json.dumps


def test_a_missing_package_is_told_with_the_command_that_installs_it():
    with pytest.raises(MissingExtraError, match=r"pip install 'omero-hcs\[ml\]'") as caught:
        lazy.load("no_such_package.sub:thing", extra="ml")
    assert caught.value.name == "no_such_package"


def test_a_missing_package_may_be_caught_as_an_import_error():
    with pytest.raises(ImportError):
        lazy.load("no_such_package", extra="disk")


def test_a_fault_of_our_own_is_not_blamed_on_an_extra():
    with pytest.raises(ModuleNotFoundError) as caught:
        lazy.load("omero_hcs.no_such_module:thing", extra="disk")
    assert not isinstance(caught.value, MissingExtraError)


def test_what_our_module_lacks_is_told_by_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_package.deeper\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match="'no_such_package'"):
        lazy.load("needs_more", extra="report")


def test_a_missing_attribute_is_a_fault_of_ours():
    with pytest.raises(AttributeError):
        lazy.load("json:no_such_name", extra="disk")
