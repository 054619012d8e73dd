"""The objects of a sandbox: rows in memory, who may do what with them, saving and loading."""
