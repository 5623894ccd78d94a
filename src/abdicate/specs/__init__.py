"""The border: text and config from outside become validated, frozen models. pydantic lives here.

No look-ups and no system calls happen here; a spec becomes a request, and a request looks up.
"""
