"""OMERO's data model, as the generated code of omero-py describes it."""
