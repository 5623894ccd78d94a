"""The rest of a process's identity: its pidfile, its detaching, its descriptors and signals."""
