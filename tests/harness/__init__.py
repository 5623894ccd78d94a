"""What the tests stand on: forked children, probes of this machine, readers of /proc."""
