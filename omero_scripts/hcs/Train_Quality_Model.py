"""Teach a quality model by what users labelled."""

from omero_hcs.scripting import launch

if __name__ == "__main__":
    launch("train_qc")
