"""The command line, met as a user meets it: other processes, their streams and their status."""
