"""What else goes when an object is deleted, moved or given: OMERO's rules, as tables.

Every rule is about one kind of reference, `Entity.field` (inherited by the entity's descendants):

* `GOES_WITH_TARGET`: what points at a deleted object is deleted as well (the pixels of an image).
* `GOES_WITH_HOLDER`: what a deleted object points at is deleted as well (the job of an import).
* `ORPHANED_BY_HOLDER` and `ORPHANED_BY_TARGET`: it is looked at, and deleted if nothing holds it
  any longer (an image whose dataset is deleted, unless another dataset has it as well).
* `HELD_BY`: which references hold such an object.

Source: `blitz-delete-rules.xml` of omero-blitz, which says the same as rules of a little language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from omero_hcs.sandbox.model.schema import SCHEMA, Entity, Kind

Reference = tuple[str, str]


@dataclass(frozen=True)
class Consequence:
    """What becomes of the other end of a reference.

    Attributes
    ----------
    is_checked : bool
        It takes the right to delete the object; without that right the request fails.
    if_deletable : bool
        Somebody who may not delete the object leaves it where it is, and nothing fails.
    """

    is_checked: bool = True
    if_deletable: bool = False


def _each(consequence: Consequence, references: str) -> dict[str, Consequence]:
    return dict.fromkeys(references.split(), consequence)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CHECKED, UNCHECKED = Consequence(), Consequence(is_checked=False)
IF_DELETABLE = Consequence(if_deletable=True)

GOES_WITH_TARGET: Mapping[str, Consequence] = _each(
    CHECKED,
    "Channel.logicalChannel Channel.pixels ChannelBinding.renderingDef "
    "CodomainMapContext.channelBinding Detector.instrument DetectorSettings.detector "
    "Dichroic.instrument FilesetEntry.fileset Filter.instrument FilterSet.instrument Image.fileset "
    "LightSettings.lightSource LightSource.instrument MicrobeamManipulation.experiment "
    "OTF.instrument Objective.instrument ObjectiveSettings.objective Pixels.image PlaneInfo.pixels "
    "PlateAcquisition.plate ProjectionDef.renderingDef Shape.roi Well.plate WellSample.well "
    "WellSample.plateAcquisition",
) | _each(UNCHECKED, "FileAnnotation.file RenderingDef.pixels Thumbnail.pixels")
# Links go with either end. Most of them whoever owns them: these only if the caller may.
CHECKED_LINKS = _names(
    "FilesetJobLink FilterSetEmissionFilterLink FilterSetExcitationFilterLink "
    "LightPathEmissionFilterLink LightPathExcitationFilterLink PixelsOriginalFileMap"
)

GOES_WITH_HOLDER = _each(
    CHECKED,
    "FilesetJobLink.child Filter.transmittanceRange FilterSet.dichroic Instrument.microscope "
    "Laser.pump OTF.filterSet OTF.objective RenderingDef.quantization",
)

ORPHANED_BY_HOLDER: Mapping[str, Consequence] = _each(
    CHECKED,
    "Channel.logicalChannel Channel.statsInfo FileAnnotation.file FilesetEntry.originalFile "
    "Image.fileset Image.imagingEnvironment Image.instrument Image.stageLabel "
    "LightPathEmissionFilterLink.parent LightPathExcitationFilterLink.parent "
    "LogicalChannel.lightPath PixelsOriginalFileMap.parent Roi.source Shape.transform",
) | _each(IF_DELETABLE, "Image.experiment WellReagentLink.child WellSample.image")
ORPHANED_BY_TARGET = _each(IF_DELETABLE, "Folder.parentFolder Reagent.screen Roi.image")
# The child of such a link is orphaned when the parent is deleted, not when the link alone is.
CONTAINING_LINKS = _names(
    "DatasetImageLink FolderImageLink FolderRoiLink ProjectDatasetLink ScreenPlateLink "
    "WellReagentLink"
)
# An image names its settings, these name their objective, and that its instrument.
ORPHANED_INSTRUMENTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Image": (("objectiveSettings", "objective"),),
    "LogicalChannel": (("detectorSettings", "detector"), ("lightSourceSettings", "lightSource")),
}

HELD_BY: Mapping[str, str] = {
    "AffineTransform": "Shape.transform",
    "Experiment": "Image.experiment",
    "Fileset": "Image.fileset",
    "Image": "WellSample.image",
    "ImagingEnvironment": "Image.imagingEnvironment",
    "Instrument": "Image.instrument",
    "LightPath": "LightPathEmissionFilterLink.parent LightPathExcitationFilterLink.parent",
    "LogicalChannel": "Channel.logicalChannel",
    "OriginalFile": "FileAnnotation.file FilesetEntry.originalFile JobOriginalFileLink.child "
    "PixelsOriginalFileMap.parent Roi.source",
    "StageLabel": "Image.stageLabel",
    "StatsInfo": "Channel.statsInfo",
}
# Held by what they point at themselves.
HOLDS_ITSELF: Mapping[str, str] = {"Reagent": "screen", "Roi": "image"}
# Once orphaned these go whoever owns them.
UNCHECKED_ORPHANS = frozenset(("BasicAnnotation", "CommentAnnotation", "OriginalFile", "StatsInfo"))

# Annotations are orphaned when an annotated object goes. Of these two kinds only those that the
# object's owner made, and not when the link alone is deleted.
INDEPENDENT_ANNOTATIONS = frozenset(("FileAnnotation", "TagAnnotation"))
DEPENDENT_ANNOTATIONS = frozenset(
    ("BasicAnnotation", "CommentAnnotation", "ListAnnotation", "MapAnnotation", "XmlAnnotation")
)
REGARDLESS_OF_RIGHTS = frozenset(("BasicAnnotation", "CommentAnnotation"))

DELETE_TARGETS = _names(
    "AffineTransform Annotation Channel Dataset DatasetImageLink DetectorSettings Experiment "
    "ExternalInfo Fileset FilesetJobLink FilterSetEmissionFilterLink FilterSetExcitationFilterLink "
    "Folder FolderImageLink FolderRoiLink GroupExperimenterMap Image ImagingEnvironment Instrument "
    "Job JobOriginalFileLink LightPathEmissionFilterLink LightPathExcitationFilterLink "
    "LightSettings Link LogicalChannel MicrobeamManipulation Microscope Namespace "
    "ObjectiveSettings OriginalFile PixelsOriginalFileMap Plate PlateAcquisition Project "
    "ProjectDatasetLink ProjectionDef Reagent RenderingDef Roi Screen ScreenPlateLink Shape "
    "ShareMember StageLabel StatsInfo Thumbnail TransmittanceRange Well WellReagentLink "
    "WellSample"
)

CHGRP_TARGETS = _names(
    "Annotation Dataset Experiment Fileset Folder Image Instrument Job Link OriginalFile Plate "
    "Project RenderingDef Roi Screen Thumbnail"
)
CHOWN_TARGETS = CHGRP_TARGETS | _names(
    "DatasetImageLink FolderImageLink FolderRoiLink JobOriginalFileLink ProjectDatasetLink Reagent "
    "ScreenPlateLink WellReagentLink"
)


@dataclass(frozen=True)
class Rules:
    """The tables by reference, with the references of an entity's descendants spelled out."""

    goes_with_target: Mapping[Reference, Consequence]
    goes_with_holder: frozenset[Reference]
    orphaned_by_holder: Mapping[Reference, Consequence]
    orphaned_by_target: frozenset[Reference]
    holding: frozenset[Reference]


def build_rules() -> Rules:
    """Spell the tables out for every entity that has one of their fields."""
    links = [entity for entity in SCHEMA.values() if entity.is_link and not entity.is_global]
    goes_with_target = _spell(GOES_WITH_TARGET)
    for link in links:
        consequence = CHECKED if link.name in CHECKED_LINKS else UNCHECKED
        ends = ("parent",) if link.name == "FilesetJobLink" else ("parent", "child")
        goes_with_target.update({(link.name, end): consequence for end in ends})
    holding = _each(CHECKED, " ".join(HELD_BY.values()))
    contents = {(link.name, "child") for link in links if is_containing(link)}
    return Rules(
        goes_with_target,
        frozenset(_spell(GOES_WITH_HOLDER)),
        _spell(ORPHANED_BY_HOLDER),
        frozenset(_spell(ORPHANED_BY_TARGET)),
        frozenset(_spell(holding)) | contents,
    )


def is_containing(link: Entity) -> bool:
    """Say whether the parent of such a link holds the child."""
    return link.is_annotation_link or link.name in CONTAINING_LINKS


def _spell(table: Mapping[str, Consequence]) -> dict[Reference, Consequence]:
    spelled = {}
    for told, consequence in table.items():
        entity, _, field = told.partition(".")
        for concrete in SCHEMA[entity].concrete:
            if field in concrete.fields and concrete.fields[field].kind is Kind.REF:
                spelled[concrete.name, field] = consequence
    return spelled


RULES = build_rules()
