"""High-content-screening quality control and few-shot search inside OMERO."""
