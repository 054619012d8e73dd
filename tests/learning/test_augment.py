import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from omero_hcs.errors import InputError
from omero_hcs.learning.augment import Augment

TURNED = Augment(shift=0, scale=0)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=1, side=9, seed=0):
    return torch.rand(count, 3, side, side, generator=seeded(seed))


def dihedral(picture):
    """The eight ways in which a picture can be turned and mirrored."""
    turned = [torch.rot90(picture, turns, (-2, -1)) for turns in range(4)]
    return turned + [each.flip(-1) for each in turned]


def test_nothing_wanted_changes_nothing():
    off = Augment(flips=False, transpose=False, shift=0, scale=0)
    given_ = pictures(5)
    assert torch.equal(off(given_, seeded()), given_)


@settings(max_examples=25, deadline=None)
@given(side=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_turned_views_are_exactly_those_of_the_dihedral_group(side, seed):
    one = pictures(1, side, seed)
    view = TURNED(one, seeded(seed))
    assert any(torch.equal(view, each) for each in dihedral(one))


def test_all_eight_turns_come_up_alike_often():
    one = torch.arange(9.0).view(1, 1, 3, 3)
    views = TURNED(one.expand(4000, -1, -1, -1), seeded())
    counts = [int((views == each).all(dim=(1, 2, 3)).sum()) for each in dihedral(one)]
    assert sum(counts) == 4000
    assert min(counts) > 400


def test_mirrors_alone_do_not_turn():
    one = torch.arange(9.0).view(1, 1, 3, 3)
    views = Augment(transpose=False, shift=0, scale=0)(one.expand(200, -1, -1, -1), seeded())
    known = [one, one.flip(-1), one.flip(-2), one.flip((-1, -2))]
    assert all(any(torch.equal(view[None], each) for each in known) for view in views)


def test_every_picture_of_a_batch_gets_a_view_of_its_own():
    views = Augment()(pictures(1).expand(16, -1, -1, -1), seeded())
    assert len({view.numpy().tobytes() for view in views}) == 16


def test_a_seed_gives_the_same_views_whatever_else_is_in_the_batch():
    given_ = pictures(6, seed=4)
    first, second = Augment()(given_, seeded(3)), Augment()(given_, seeded(3))
    assert torch.equal(first, second)
    assert not torch.equal(first, Augment()(given_, seeded(4)))
    doubled = Augment()(torch.cat([given_, given_.flip(0)]), seeded(3))
    assert torch.equal(doubled[:6], first)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_no_view_is_brighter_or_darker_than_its_picture(seed):
    given_ = pictures(4, 16, seed)
    views = Augment(shift=0.3, scale=0.3)(given_, seeded(seed))
    assert (views.amax((-1, -2)) <= given_.amax((-1, -2))).all()
    assert (views.amin((-1, -2)) >= given_.amin((-1, -2))).all()


def test_shifts_and_scales_are_as_far_as_asked():
    """A spot in the middle, of which the middle and the size are measured in each view."""
    side = 64
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    middle = (side - 1) / 2
    spot = torch.exp(-((y - middle) ** 2 + (x - middle) ** 2) / (2 * 5.0**2))[None, None]
    views = Augment(shift=0.1, scale=0.2)(spot.expand(400, -1, -1, -1), seeded())[:, 0]
    mass = views.sum((-1, -2))
    at = torch.stack([(views * axis).sum((-1, -2)) / mass - middle for axis in (y, x)])
    assert 5.8 < at.abs().max() < 0.1 * side * 1.2 + 0.5
    grown = (mass / spot.sum()).sqrt()
    assert grown.min() == pytest.approx(1 / 1.2, abs=0.02)
    assert grown.max() == pytest.approx(1.2, abs=0.02)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match=r"shifted by 1\.5"):
        Augment(shift=1.5)
    with pytest.raises(InputError, match="square pictures"):
        Augment()(torch.rand(2, 3, 4, 5), seeded())
