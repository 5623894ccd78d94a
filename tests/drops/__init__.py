"""Drops on the real kernel: what was promised, in which order, and what happens when it fails."""
