"""Cut a crop around every cell of plates."""

from omero_hcs.scripting import launch

if __name__ == "__main__":
    launch("crop_cells")
