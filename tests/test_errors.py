"""The error tree: what callers may catch, and what survives a trip between processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

from omero_hcs import errors
from omero_hcs.errors import HcsError, InputErrors

TREE = [
    item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, HcsError)
]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_that_the_module_draws(kind):
    assert f"{kind.__name__}" in errors.__doc__
    assert kind.__doc__


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_is_also_a_builtin_one(kind):
    builtins = {ValueError, ImportError, LookupError, OSError, RuntimeError}
    assert kind is HcsError or builtins & set(kind.__mro__)


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_survives_a_trip_between_processes(kind):
    error = kind(["one", "two"]) if kind is InputErrors else kind("what, which, mend")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (our own bytes)
    assert type(again) is kind
    assert str(again) == str(error)


def test_several_faults_are_told_one_a_line():
    assert str(InputErrors(["no channel 'DAPI'", "no well Z99"])) == (
        "2 problems were found:\n  - no channel 'DAPI'\n  - no well Z99"
    )


def test_one_fault_is_told_in_the_singular():
    assert str(InputErrors(["no well Z99"])).startswith("1 problem was found:")


def test_the_faults_can_be_read_one_by_one():
    again = pickle.loads(pickle.dumps(InputErrors(["a", "b"])))  # noqa: S301  (our own bytes)
    assert again.faults == ("a", "b")
