"""``abdicate export``: read back by parsers that know nothing of the writers."""
