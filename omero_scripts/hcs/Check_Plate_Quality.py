"""Judge every cell of plates with a trained quality model."""

from omero_hcs.scripting import launch

if __name__ == "__main__":
    launch("apply_qc")
