"""Names of entities in OMERO's Java model, which clients see in errors and in `type(x)`.

The generated Python code does not know the Java packages. They are listed as in the folders of
OMERO's model (`omero-model`, `mappings/*.ome.xml`); what is not listed is an enumeration.
"""

from __future__ import annotations

from collections.abc import Mapping

from omero_hcs.sandbox.model.schema import Entity

# An entity's package is that of the nearest of its bases that is named here.
PACKAGES: Mapping[str, str] = {
    name: package
    for package, names in {
        "acquisition": (
            "Detector DetectorSettings Dichroic Filter FilterSet FilterSetEmissionFilterLink "
            "FilterSetExcitationFilterLink ImagingEnvironment Instrument LightPath "
            "LightPathEmissionFilterLink LightPathExcitationFilterLink LightSettings LightSource "
            "Microscope OTF Objective ObjectiveSettings StageLabel TransmittanceRange"
        ),
        "annotations": "Annotation",
        "containers": (
            "Dataset DatasetImageLink Folder FolderImageLink FolderRoiLink Project "
            "ProjectDatasetLink"
        ),
        "core": (
            "Channel Image LogicalChannel OriginalFile Pixels PixelsOriginalFileMap PlaneInfo"
        ),
        "display": (
            "ChannelBinding CodomainMapContext ProjectionDef QuantumDef RenderingDef Thumbnail"
        ),
        "experiment": "Experiment MicrobeamManipulation",
        "fs": "Fileset FilesetEntry FilesetJobLink",
        "jobs": "Job JobOriginalFileLink",
        "meta": (
            "DBPatch Event EventLog Experimenter ExperimenterGroup ExternalInfo "
            "GroupExperimenterMap Namespace Node Session ShareMember"
        ),
        "roi": "AffineTransform Roi Shape",
        "screen": (
            "Plate PlateAcquisition Reagent Screen ScreenPlateLink Well WellReagentLink WellSample"
        ),
        "stats": "StatsInfo",
    }.items()
    for name in names.split()
}


def java_name(entity: Entity) -> str:
    """Name an entity as the server does: `ome.model.core.Image`."""
    if entity.is_annotation_link:
        return f"ome.model.annotations.{entity.name}"
    packages = (PACKAGES[one.name] for one in entity.lineage() if one.name in PACKAGES)
    return f"ome.model.{next(packages, 'enums')}.{entity.name}"
