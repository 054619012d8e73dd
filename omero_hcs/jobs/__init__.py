"""Runs, their ledger, and the engines that work them off."""
