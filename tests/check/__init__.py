"""``abdicate check``: each finding, where it is made and where it is not."""
