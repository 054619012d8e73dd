"""Make the reports of quality checks again."""

from omero_hcs.scripting import launch

if __name__ == "__main__":
    launch("make_report")
