"""The model of the kernel, held against the real one."""
