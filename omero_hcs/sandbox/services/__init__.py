"""OMERO's services, one file a service or a small family of them.

Every public method that takes `current` last is an operation of OMERO's API: what it means, takes
and returns is written in OMERO's Slice definitions (omero/API.ice and its neighbours).
"""
