"""Tests of pure code, and of readers: no privilege, nothing of the process changes."""
