"""An OMERO-compatible server for demos and tests: never OMERO itself, and never for real data.

`launch.start()` runs it; the server itself always has a process of its own, because it has to see
IcePy before anybody imports `omero` there (see `ice.record`).
"""
