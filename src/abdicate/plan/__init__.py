"""WHAT, IN WHICH ORDER. Pure: this room computes values and never asks the system."""
