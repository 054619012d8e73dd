"""What a plate in OMERO tells of the runs over it, and who may stop them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omero.rtypes import unwrap

from omero_hcs.errors import NotAllowedError, RunNotFoundError, WriteError
from omero_hcs.model import ObjectRef
from omero_hcs.stores.base import RunBoard, RunNote
from omero_hcs.stores.omero import run_notes
from omero_hcs.stores.omero.record import RUN_NAMESPACE
from omero_hcs.stores.omero.run_notes import note_of, pairs_of
from omero_hcs.stores.omero.session import parameters_of

RUN, LATER = "20250101T120000Z-0000aaaa", "20250102T120000Z-0000bbbb"
NOTE = RunNote(
    RUN, "apply_qc", "running", started=1_700_000_000.0, alive=1_700_000_060.0,
    stage="judging fields", done=12, total=96, failed=1, left=300.0, model="qc",
)  # fmt: skip


@pytest.fixture
def plate(omero_make_group, omero_make_user, omero_import, tiny_plate):
    """A plate of the first of two users of a group: ``plate("read-annotate")``."""

    def make(level, *, owns=False):
        group = omero_make_group(level)
        owner = omero_make_user(group)
        other = omero_make_user(group, owns=(group,) if owns else ())
        number = omero_import(owner, tiny_plate).ids.plate
        return owner, other, f"plate/{number}", ObjectRef(kind="plate", id=str(number))

    return make


@pytest.fixture
def home(plate, omero_open):
    """Store and plate of one user."""
    owner, _, place, ref = plate("read-annotate")
    return omero_open(owner, place), ref, owner


@pytest.fixture
def annotations(omero_connect):
    """Map annotations on a plate that a user sees, as (namespace, pairs, owner)."""

    def look(user, ref):
        found = omero_connect(user).getObject("Plate", int(ref.id)).listAnnotations()
        return [
            (item.getNs(), dict(item.getValue()), item.getOwner().getOmeName())
            for item in found
            if "MapAnnotation" in item.OMERO_TYPE.__name__
        ]

    return look


@pytest.fixture
def rows_of(omero_connect):
    """Ask as a user: ``rows_of(user, "select ...", ids=[...])``."""

    def ask(user, hql, **given):
        service = omero_connect(user).getQueryService()
        found = service.projection(hql, parameters_of(given), {"omero.group": "-1"})
        return [tuple(map(unwrap, row)) for row in found]

    return ask


def test_it_is_told_in_words_that_a_person_reads(home, annotations):
    store, ref, owner = home
    assert isinstance(store, RunBoard)
    store.post_note(ref, NOTE)
    ((namespace, pairs, whose),) = annotations(owner, ref)
    assert (namespace, whose) == (RUN_NAMESPACE, owner.name)
    assert pairs == {
        "Run": RUN,
        "Task": "apply_qc",
        "Status": "running: judging fields",
        "Done": "12 of 96",
        "Failed": "1",
        "Time left": "about 5 min",
        "Started": "2023-11-14 22:13:20 UTC",
        "Last sign of life": "2023-11-14 22:14:20 UTC",
        "Run by": owner.name,
        "Model": "qc",
        "To cancel it": f"script HCS_Runs, or: omero-hcs runs cancel {RUN}",
    }
    assert store.run_notes(ref) == (replace(NOTE, user=owner.name),)


def test_there_is_one_a_run_and_the_last_word_replaces_the_others(home, annotations, omero_open):
    store, ref, owner = home
    for note in (NOTE, replace(NOTE, done=13), replace(NOTE, run_id=LATER)):
        store.post_note(ref, note)
    again = omero_open(owner, f"plate/{ref.id}")  # the same click, after a crash
    again.post_note(ref, replace(NOTE, status="done", done=96, result="5 cells", stage=""))
    notes = {note.run_id: note for note in store.run_notes(ref)}
    assert (notes[RUN].status, notes[RUN].done, notes[LATER].done) == ("done", 96, 12)
    pairs = next(pairs for _, pairs, _ in annotations(owner, ref) if pairs["Run"] == RUN)
    assert pairs["To undo it"].endswith(f"omero-hcs undo {RUN}")
    assert not {"Time left", "To cancel it", "Last sign of life"} & set(pairs)


def test_a_mark_stays_until_the_run_ends_or_is_started_anew(home):
    store, ref, _ = home
    store.post_note(ref, NOTE)
    assert store.stop_asked(RUN) is None
    store.ask_to_stop(RUN, "ada")
    store.ask_to_stop(RUN, "bob")
    store.post_note(ref, replace(NOTE, done=13))
    assert store.stop_asked(RUN) == "ada"
    assert store.run_notes(ref)[0].stop_asked_by == "ada"
    store.post_note(ref, replace(NOTE, started=NOTE.started + 60))
    assert store.stop_asked(RUN) is None
    store.ask_to_stop(RUN, "ada")
    store.post_note(ref, replace(NOTE, status="cancelled"))
    assert store.stop_asked(RUN) is None


def test_a_note_that_changed_while_it_was_read_is_read_again(home, omero_open, monkeypatch):
    """The driver tells how far it is at the moment at which somebody asks it to stop."""
    store, ref, owner = home
    store.post_note(ref, NOTE)
    other, asked = omero_open(owner, f"plate/{ref.id}"), []
    real = run_notes.pairs_of

    def meanwhile(note):
        if not asked:
            asked.append(True)
            other.ask_to_stop(RUN, "ada")
        return real(note)

    monkeypatch.setattr(run_notes, "pairs_of", meanwhile)
    store.post_note(ref, replace(NOTE, done=14))
    (told,) = store.run_notes(ref)
    assert (told.done, told.stop_asked_by) == (14, "ada")


def test_what_is_told_goes_with_an_undo_and_nothing_else_does(home, annotations):
    store, ref, owner = home
    before = annotations(owner, ref)
    store.post_note(ref, NOTE)
    store.post_note(ref, replace(NOTE, run_id=LATER))
    store.remove_note(RUN)
    store.remove_note(RUN)
    assert [note.run_id for note in store.run_notes(ref)] == [LATER]
    store.remove_note(LATER)
    assert annotations(owner, ref) == before


def test_several_images_share_one_note(home, omero_open, rows_of):
    plate, ref, owner = home
    images = [int(site.image.id) for site in plate.plate(ref.id).sites()][:2]
    store = omero_open(owner, f"image/{images[0]},{images[1]}")
    (several,) = store.refs()
    links = "select l.child.id from ImageAnnotationLink l where l.parent.id in (:ids)"
    store.post_note(several, NOTE)
    assert len(rows_of(owner, links, ids=images)) == 2
    assert len({row[0] for row in rows_of(owner, links, ids=images)}) == 1
    assert [note.run_id for note in store.run_notes(several)] == [RUN]
    store.remove_note(RUN)
    assert rows_of(owner, links, ids=images) == []


class TestOthers:
    def test_members_see_and_do_not_stop_what_another_runs(self, plate, omero_open):
        owner, member, place, ref = plate("read-annotate")
        omero_open(owner, place).post_note(ref, NOTE)
        theirs = omero_open(member, place)
        assert theirs.run_notes(ref)[0].user == owner.name
        with pytest.raises(NotAllowedError) as caught:
            theirs.ask_to_stop(RUN, member.name)
        assert f"Run {RUN} is {owner.name}'s, and {member.name} may not stop it" in str(
            caught.value
        )
        assert omero_open(owner, place).stop_asked(RUN) is None
        theirs.remove_note(RUN)
        assert theirs.run_notes(ref)

    @pytest.mark.parametrize("level", ["read-annotate", "read-only"])
    def test_an_owner_of_the_group_may(self, plate, omero_open, level):
        owner, leader, place, ref = plate(level, owns=True)
        store = omero_open(owner, place)
        store.post_note(ref, NOTE)
        omero_open(leader, place).ask_to_stop(RUN, leader.name)
        assert store.stop_asked(RUN) == leader.name
        store.post_note(ref, replace(NOTE, done=20))  # it is still the user's own
        assert store.run_notes(ref)[0].stop_asked_by == leader.name

    def test_in_a_private_group_others_see_nothing_of_it(self, plate, omero_open):
        owner, member, place, ref = plate("private")
        store = omero_open(owner, place)
        store.post_note(ref, NOTE)
        theirs = omero_open(member, f"image/{_image(store, ref)}")
        with pytest.raises(RunNotFoundError, match=RUN):
            theirs.ask_to_stop(RUN, member.name)

    def test_where_one_may_not_annotate_nothing_is_told(self, plate, omero_open):
        _, member, place, ref = plate("read-only")
        store = omero_open(member, place)
        with pytest.raises((NotAllowedError, WriteError)):
            store.post_note(ref, NOTE)
        assert store.run_notes(ref) == ()

    def test_two_users_have_notes_of_their_own(self, plate, omero_open):
        owner, member, place, ref = plate("read-annotate")
        stores = [omero_open(user, place) for user in (owner, member)]
        for store, run_id in zip(stores, (RUN, LATER), strict=True):
            store.post_note(ref, replace(NOTE, run_id=run_id))
        told = {note.run_id: note.user for note in stores[0].run_notes(ref)}
        assert told == {RUN: owner.name, LATER: member.name}

    def test_a_mark_of_somebody_elses_note_of_the_same_name_counts_not(self, plate, omero_open):
        owner, member, place, ref = plate("read-annotate")
        store, theirs = omero_open(owner, place), omero_open(member, place)
        store.post_note(ref, NOTE)
        theirs.post_note(ref, NOTE)
        theirs.ask_to_stop(RUN, member.name)
        assert store.stop_asked(RUN) is None


def _image(store, ref):
    return next(iter(store.plate(ref.id).sites())).image.id


def test_a_plate_that_the_store_is_not_about_tells_nothing(home):
    store, _, _ = home
    assert store.run_notes(ObjectRef(kind="plate", id="999999")) == ()


def test_what_somebody_garbled_counts_as_not_known():
    note = note_of({"Run": RUN, "Status": "on fire", "Done": "many", "Started": "early",
                    "Time left": "about ages"})  # fmt: skip
    assert note == RunNote(RUN, "", "failed", 0.0, 0.0)


@given(
    st.builds(
        RunNote,
        run_id=st.just(RUN),
        task=st.sampled_from(["apply_qc", "train_qc"]),
        status=st.just("running"),
        started=st.integers(1, 2_000_000_000).map(float),
        alive=st.integers(1, 2_000_000_000).map(float),
        stage=st.sampled_from(["", "judging fields", "making the report, 1 of 3"]),
        done=st.integers(0, 99_999),
        total=st.integers(1, 99_999),
        failed=st.integers(0, 99_999),
        left=st.sampled_from([None, 1.0, 60.0, 300.0, 7200.0]),
        user=st.sampled_from(["", "ada"]),
        stop_asked_by=st.sampled_from(["", "bob"]),
    )
)
def test_what_is_written_is_read_back(note):
    assert note_of(dict(pairs_of(note))) == note


def test_the_name_of_a_note_is_that_of_its_run(home, rows_of):
    store, ref, owner = home
    store.post_note(ref, NOTE)
    query = "select a.name from MapAnnotation a where a.ns = :ns"
    assert rows_of(owner, query, ns=RUN_NAMESPACE) == [(RUN,)]
