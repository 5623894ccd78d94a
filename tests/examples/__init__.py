"""What lies under examples/ is run here as a stranger would run it."""
