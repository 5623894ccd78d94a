"""Daemons on the real kernel: started by real programs, looked at from outside, and killed."""
