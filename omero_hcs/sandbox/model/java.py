"""Names of the model's classes in Java, which queries and responses of commands carry.

The generated Python code does not know the packages; they are OMERO's of version 5.6
(ome/omero-model, `src/main/resources/mappings`).
"""

from __future__ import annotations

from collections.abc import Mapping

from omero_hcs.sandbox.model.schema import SCHEMA

# By package: entities whose descendants are there as well.
PACKAGES: Mapping[str, str] = {
    "acquisition": "Detector DetectorSettings Dichroic Filter FilterSet "
    "FilterSetEmissionFilterLink FilterSetExcitationFilterLink ImagingEnvironment Instrument "
    "LightPath LightPathEmissionFilterLink LightPathExcitationFilterLink LightSettings LightSource "
    "Microscope OTF Objective ObjectiveSettings StageLabel TransmittanceRange",
    "annotations": "Annotation",
    "containers": "Dataset DatasetImageLink Folder FolderImageLink FolderRoiLink Project "
    "ProjectDatasetLink",
    "core": "Channel Image LogicalChannel OriginalFile Pixels PixelsOriginalFileMap PlaneInfo",
    "display": "ChannelBinding CodomainMapContext ProjectionDef QuantumDef RenderingDef Thumbnail",
    "experiment": "Experiment MicrobeamManipulation",
    "fs": "Fileset FilesetEntry FilesetJobLink",
    "internal": "Link",
    "jobs": "Job JobOriginalFileLink",
    "meta": "DBPatch Event EventLog Experimenter ExperimenterGroup ExternalInfo "
    "GroupExperimenterMap Namespace Node Session ShareMember",
    "roi": "AffineTransform Roi Shape",
    "screen": "Plate PlateAcquisition Reagent Screen ScreenPlateLink Well WellReagentLink "
    "WellSample",
    "stats": "StatsInfo",
}
BY_ENTITY = {name: package for package, names in PACKAGES.items() for name in names.split()}


def java_name(name: str) -> str:
    """Return the Java class of an entity: `Image` is `ome.model.core.Image`."""
    entity = SCHEMA[name]
    if entity.is_enum:
        return f"ome.model.enums.{name}"
    if entity.is_annotation_link:
        return f"ome.model.annotations.{name}"
    package = next(BY_ENTITY[base.name] for base in entity.lineage() if base.name in BY_ENTITY)
    return f"ome.model.{package}.{name}"
