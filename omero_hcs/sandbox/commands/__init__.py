"""The requests of `omero.cmd` that clients submit: deletion, moves between groups, sessions."""
