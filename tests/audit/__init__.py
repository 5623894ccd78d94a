"""``abdicate audit``: real processes that are, or are not, what they should be."""
