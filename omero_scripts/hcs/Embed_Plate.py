"""Turn every cell of plates into an encoder's features."""

from omero_hcs.scripting import launch

if __name__ == "__main__":
    launch("embed_cells")
