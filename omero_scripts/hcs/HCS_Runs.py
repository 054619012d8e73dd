"""List, cancel or undo the runs of omero-hcs."""

from omero_hcs.scripting import launch

if __name__ == "__main__":
    launch("manage_runs")
