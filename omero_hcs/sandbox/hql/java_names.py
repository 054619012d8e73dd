"""The model's names in Java, as queries see them."""

from omero_hcs.sandbox.model.java import PACKAGES, java_name

__all__ = ["PACKAGES", "java_name"]
