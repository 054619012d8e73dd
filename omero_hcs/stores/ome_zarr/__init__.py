"""OME-Zarr HCS plates on disk (NGFF 0.4 and 0.5 read, 0.5 written), through ngio."""
