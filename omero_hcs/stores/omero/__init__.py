"""Plates and image sets on an OMERO server."""
