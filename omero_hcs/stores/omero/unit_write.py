"""One write of a unit's results: what is missing is made, what is left over removed.

Each step is in the journal first. What a user changed, took off or deleted is left so, and told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from omero_hcs.results import LabelImage, Results, Roi, Table, WriteReport
from omero_hcs.stores.contents import TABLE_SUFFIX, Content
from omero_hcs.stores.omero.crop_images import CropWish, save_crops
from omero_hcs.stores.omero.files import save_files
from omero_hcs.stores.omero.journal import Journal, Journals, Pen
from omero_hcs.stores.omero.journal_lines import (
    IntentLine,
    MadeLine,
    RemovedLine,
    RemovingLine,
    groups_of,
)
from omero_hcs.stores.omero.label_images import save_label_images
from omero_hcs.stores.omero.notes import (
    PairsWish,
    TagWish,
    link_children,
    links_there,
    save_pairs,
    save_tags,
    tag_lines,
    tag_link,
    tags_there,
    wanted_pairs,
    wanted_tags,
)
from omero_hcs.stores.omero.present import LINK, look
from omero_hcs.stores.omero.record import (
    DATASET,
    TABLE_KIND,
    Made,
    Seen,
    WriteContext,
    place_of,
)
from omero_hcs.stores.omero.removal import removable, remove, spared
from omero_hcs.stores.omero.rois import SHOWN_AT_ONCE, save_rois, wanted_rois
from omero_hcs.stores.omero.tables import ALONE, is_alone, restore_bulk_table, save_tables
from omero_hcs.stores.omero.unlisted import unlisted

Slot = tuple[str, str, str]
"""Kind, name, and for ROIs, tags and crops the mark: there is one thing of each in a unit."""

_BY_MARK = ("roi", "tag", "crop")
_TABLES = frozenset((TABLE_KIND, name) for name in ALONE)


@dataclass
class Wishes:
    """What a unit is to have, by its slots; `pick` takes some of it."""

    rois: dict[Slot, Roi]
    tags: dict[Slot, TagWish]
    pairs: dict[Slot, PairsWish]
    files: dict[Slot, Content]
    labels: dict[Slot, list[LabelImage]]
    tables: dict[Slot, Table] = field(default_factory=dict)
    crops: dict[Slot, CropWish] = field(default_factory=dict)

    def slots(self) -> list[Slot]:
        """All slots, in the order in which they are filled."""
        parts = (
            self.rois, self.tags, self.pairs, self.files, self.labels, self.tables, self.crops,
        )  # fmt: skip
        return [slot for part in parts for slot in part]

    def pick(self, slots: Iterable[Slot]) -> Wishes:
        """Only what is for some slots."""
        chosen = set(slots)

        def of(part: dict[Slot, Any]) -> dict[Slot, Any]:
            return {slot: item for slot, item in part.items() if slot in chosen}

        return Wishes(
            of(self.rois),
            of(self.tags),
            of(self.pairs),
            of(self.files),
            of(self.labels),
            of(self.tables),
            of(self.crops),
        )


def wishes_of(
    context: WriteContext,
    results: Results,
    files: Sequence[Content],
    crops: Mapping[tuple[str, str], CropWish],
) -> Wishes:
    """Sort results by the slots that they are for; `crops` are of `wanted_crops`."""
    labels: dict[Slot, list[LabelImage]] = defaultdict(list)
    for label in results.labels:
        labels["label", f"{label.image}/{label.name}", ""].append(label)
    alone = {f"{name}{TABLE_SUFFIX}" for name in results.tables if is_alone(results, name)}
    return Wishes(
        rois={("roi", *key): item for key, item in wanted_rois(results.rois).items()},
        tags={
            ("tag", wish.text, mark): wish
            for mark, wish in wanted_tags(context, results.tags).items()
        },
        pairs={
            ("key-values", name, ""): wish
            for name, wish in wanted_pairs(context, results.key_values).items()
        },
        files={(item.kind, item.name, ""): item for item in files if item.name not in alone},
        labels=dict(labels),
        tables={(TABLE_KIND, name, ""): table for name, table in results.tables.items()}
        if results.unit is None
        else {},
        crops={("crop", *key): wish for key, wish in crops.items()},
    )


@dataclass
class _Plan:
    """What to make, what stays as it is, what goes, and what is told."""

    make: Wishes
    stay: list[Made]
    drop: list[Made]
    kept: list[str]
    notes: list[str] = field(default_factory=list)


class UnitWrite:
    """Writes one unit.

    Parameters
    ----------
    journals : Journals
        Where journals are.
    context : WriteContext
        Where the results go.
    wishes : Wishes
        What the unit is to have.
    """

    def __init__(self, journals: Journals, context: WriteContext, wishes: Wishes) -> None:
        self._journals = journals
        self._context = context
        self._wishes = wishes

    def run(self, results: Results) -> WriteReport:
        """Write what is missing."""
        journal = self._journals.start(self._context, results)
        self._finish_what_was_begun(journal)
        plan = self._plan(journal.units[self._context.unit].made())
        made: list[Made] = []
        if plan.make.slots() or plan.drop:
            with self._journals.pen(journal) as pen:
                made = self._make(pen, journal, plan)
                self._drop(pen, journal, plan.drop)
        return self._report(plan, made, journal)

    def _finish_what_was_begun(self, journal: Journal) -> None:
        """Note what a crash left unnoted, and remove what it left to be removed."""
        context, state = self._context, journal.units[self._context.unit]
        found = unlisted(context.session, journal, context.unit)
        pending = state.pending()
        if not (found or pending or state.open_intents):
            return
        with self._journals.pen(journal) as pen:
            if state.open_intents:
                pen.write(MadeLine(unit=context.unit, objects=groups_of(found), complete=True))
            if pending:
                self._remove(journal, removable(look(context.session, pending)), pending)
                pen.write(RemovedLine(unit=context.unit, objects=groups_of(pending)))

    def _plan(self, before: Sequence[Made]) -> _Plan:
        # The dataset of crops is that of all units.
        seen = look(self._context.session, [one for one in before if one.type != DATASET])
        by_slot: dict[Slot, list[Seen]] = defaultdict(list)
        for one in seen:
            by_slot[slot_of(one.made)].append(one)
        make, kept = [], [one.place for one in seen if one.state == "theirs"]
        stay: list[Made] = []
        for slot in self._wishes.slots():
            there = by_slot.get(slot, [])
            if any(one.state == "theirs" for one in there):
                continue
            if lost := [one for one in there if one.state in ("gone", "loose")]:
                kept += [f"deleted by a user: {self._place(slot, one)}" for one in lost]
                continue
            same = [one.made for one in there if self._is_same(slot, one.made)]
            if same:
                stay.append(same[0])
            else:
                make.append(slot)
        tags = [one.made for one in seen if one.made.type == "TagAnnotation"]
        return _Plan(self._wishes.pick(make), stay, self._drops(seen, [*stay, *tags]), kept)

    def _is_same(self, slot: Slot, made: Made) -> bool:
        pairs = self._wishes.pairs.get(slot)
        return slot[0] in _BY_MARK or (pairs is not None and pairs.mark == made.mark)

    def _place(self, slot: Slot, seen: Seen) -> str:
        wish = self._wishes.tags.get(slot)
        if wish is None:
            return seen.place
        # A link that is gone does not say any longer what it was on.
        return f"{place_of(self._context.session, wish.type, wish.id)} tag {wish.text!r}"

    def _drops(self, seen: Sequence[Seen], stay: Sequence[Made]) -> list[Made]:
        """Choose what is ours and not wanted; an archive goes or stays as a whole."""
        kept = {(one.type, one.id) for one in stay}
        kept |= {(one.made.type, one.made.id) for one in seen if one.state == "theirs"}
        wanted = set(self._wishes.slots())
        lost = [one for one in seen if one.state == "loose" and slot_of(one.made) in wanted]
        kept |= {(one.made.type, one.made.id) for one in lost}
        return [one for one in removable(seen) if (one.type, one.id) not in kept]

    def _make(self, pen: Pen, journal: Journal, plan: _Plan) -> list[Made]:
        """Make what is missing, kind by kind, each noted before the next one is begun."""
        context, wishes = self._context, plan.make
        new_tags, shared = self._sort_tags(journal, wishes.tags.values())
        steps = [
            step for step, wanted in self._steps(wishes, new_tags, shared, plan.notes) if wanted
        ]
        if steps:
            pen.write(self._intent(wishes, new_tags))
        made: list[Made] = []
        for rank, step in enumerate(steps, 1):
            new = step()
            pen.write(
                MadeLine(unit=context.unit, objects=groups_of(new), complete=rank == len(steps))
            )
            made += new
        return made

    def _steps(
        self,
        wishes: Wishes,
        new_tags: Sequence[TagWish],
        shared: Sequence[Made],
        notes: list[str],
    ) -> Iterator[tuple[Callable[[], list[Made]], Any]]:
        """Yield what makes each kind of thing, and what is to be made of it."""
        context = self._context

        def tags() -> list[Made]:
            made, told = save_tags(context, new_tags)
            notes.extend(told)
            return [*made, *shared]

        def tables() -> list[Made]:
            made, told = save_tables(context, {slot[1]: t for slot, t in wishes.tables.items()})
            notes.extend(told)
            return made

        rois = {slot[1:]: roi for slot, roi in wishes.rois.items()}
        labels = [label for labels in wishes.labels.values() for label in labels]
        yield partial(save_rois, context, rois), rois
        yield tags, [*new_tags, *shared]
        yield partial(save_pairs, context, list(wishes.pairs.values())), wishes.pairs
        yield partial(save_files, context, list(wishes.files.values())), wishes.files
        yield partial(save_label_images, context, labels), labels
        yield tables, wishes.tables
        yield partial(save_crops, context, list(wishes.crops.values())), wishes.crops

    def _sort_tags(
        self, journal: Journal, wishes: Iterable[TagWish]
    ) -> tuple[list[TagWish], list[Made]]:
        """Tags that are not on their objects yet, and links that another run of ours made.

        Any other link that is there is somebody's, and no part of the run.
        """
        context, wishes = self._context, list(wishes)
        session = context.session
        tags = tags_there(session, context.group, (wish.text for wish in wishes))
        there = links_there(session, wishes, {number: text for number, (text, _) in tags.items()})
        new = [wish for wish in wishes if wish.mark not in there]
        if not there:
            return new, []
        others = self._journals.tags_of_others(context.anchors, journal.place)
        made = [tag_link(wish, there[wish.mark][0]) for wish in wishes if wish.mark in there]
        mine = {link for link, owner in there.values() if owner == session.user_id}
        return new, [one for one in made if (one.type, one.id) in others and one.id in mine]

    def _intent(self, wishes: Wishes, tags: Sequence[TagWish]) -> IntentLine:
        counts = Counter(slot[0] for slot in wishes.slots())
        images = sorted({int(slot[1]) for slot in wishes.rois})
        return IntentLine(
            unit=self._context.unit,
            counts=dict(counts),
            images=tuple(images),
            tags=tag_lines(tags),
        )

    def _drop(self, pen: Pen, journal: Journal, drop: Sequence[Made]) -> None:
        if not drop:
            return
        context = self._context
        before = journal.units[context.unit].made()
        links = [one for one in before if one.kind == "link" and one.type.endswith(LINK)]
        children = link_children(context.session, [(one.type, one.id) for one in links])
        doomed = {one.id for one in drop if one.type in ("FileAnnotation", "MapAnnotation")}
        gone = [one for one in links if children.get((one.type, one.id), -1) in doomed | {-1}]
        objects = groups_of([*drop, *gone])
        pen.write(RemovingLine(unit=context.unit, objects=objects))
        self._remove(journal, drop, drop)
        if any(one.kind == TABLE_KIND for one in drop):
            # Results without wells leave the table of the write before shown for them.
            restore_bulk_table(context.session, context.group, context.anchors)
        pen.write(RemovedLine(unit=context.unit, objects=objects))

    def _remove(self, journal: Journal, made: Sequence[Made], known: Sequence[Made]) -> None:
        context, place = self._context, journal.place
        own = spared(self._journals, context.anchors, place, made)
        remove(context.session, context.group, place.owner, own, known)

    def _report(self, plan: _Plan, made: Sequence[Made], journal: Journal) -> WriteReport:
        context = self._context
        now = [*plan.stay, *made]
        counts = Counter(one.kind for one in now if one.kind != "link")
        images = Counter(slot[1] for slot in self._wishes.rois)
        many = [
            f"{place_of(context.session, 'image', int(image))} has {count} ROIs of this run: "
            f"OMERO's viewer lists {SHOWN_AT_ONCE} at a time; lower their number for each field"
            for image, count in images.items()
            if count > SHOWN_AT_ONCE
        ]
        target = place_of(context.session, *context.anchors[0])
        files = [one for one in now if one.kind == "file" or (one.kind, one.name) in _TABLES]
        places = [f"{place_of(context.session, 'annotation', one.id)} {one.name}" for one in files]
        datasets = journal.datasets() if context.unit is None else ()
        places += [place_of(context.session, DATASET, number) for number in datasets]
        return WriteReport(
            context.run_id,
            dict(counts),
            (target, *places),
            tuple(dict.fromkeys(plan.kept)),
            tuple(dict.fromkeys([*plan.notes, *many])),
        )


def slot_of(made: Made) -> Slot:
    """Slot that something made is in."""
    return made.kind, made.name, made.mark if made.kind in _BY_MARK else ""
