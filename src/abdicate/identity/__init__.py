"""WHO: ids and names, accounts, and everything the kernel knows of a process's identity.

Pure values and readers. Nothing in this room changes the process.
"""
