"""An example: a server whose type says that it does not serve as root."""
