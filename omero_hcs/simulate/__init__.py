"""Simulated plates whose truth is known."""
