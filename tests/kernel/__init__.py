"""The same cases on the model and on the real kernel."""
