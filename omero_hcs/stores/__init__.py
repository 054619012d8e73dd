"""Where plates come from and results go: one protocol, several homes."""
