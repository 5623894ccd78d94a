"""A failed drop is no Exception: its report can't be read from one."""

from greeter.server import Settings, start


def report(settings: Settings) -> str:
    try:
        start(settings)
    except Exception as error:
        return str(error.report)
    return ""
