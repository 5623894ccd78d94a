"""Signals: their names and numbers, and this process's handlers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

from parity.case import Case, Module, differs, same

__all__ = ["CASES"]

_IGNORED, _DEFAULT = signal.SIG_IGN, signal.SIG_DFL
_UNKNOWN = "raises UnknownSignalError"


def _handler(_number: int, _frame: object) -> None:
    """Stand for an application's handler."""


# --- What is done in place of one call ------------------------------------------------------------


def and_read(m: Module, name: object, handler: object) -> object:
    """Return the handler that is there after it was set."""
    m.signals[name] = handler
    return signal.getsignal(m.signals.signum(name))


def _two_handlers(m: Module, method: str, *given: object, **keywords: object) -> object:
    m.signals["USR1"] = m.signals["USR2"] = _handler
    getattr(m.signals, method)(*given, **keywords)
    return [m.signals["USR1"], m.signals["USR2"]]


def after_update(m: Module, *given: object, **keywords: object) -> object:
    """Return the handlers of USR1 and USR2, which were functions."""
    return _two_handlers(m, "update", *given, **keywords)


def after_reset(m: Module, *names: object) -> object:
    """Return the handlers of USR1 and USR2, which were functions."""
    return _two_handlers(m, "reset", *names)


def after_ignore(m: Module, *names: object) -> object:
    """Return the handlers of USR1 and USR2, which were functions."""
    return _two_handlers(m, "ignore", *names)


def of_the_older_name(m: Module, function: str, *arguments: object) -> object:
    """Return the handler of USR1, which was a function."""
    m.signals["USR1"] = _handler
    getattr(m, function)(*arguments)
    return m.signals["USR1"]


def and_be_told(m: Module, name: str) -> object:
    """Return what a handler is told of a signal that this process sends itself."""
    told: list[int] = []
    m.signals[name] = lambda number, _frame: told.append(number)
    os.kill(os.getpid(), m.signals.signum(name))
    return told


def of_ones_own(m: Module, name: str) -> object:
    """Ask an object of the class that is not the module's."""
    return m.Signals().signum(name)


def in_a_thread(m: Module) -> object:
    """Return what happened to a handler that is set off the main thread."""
    raised: list[str] = []

    def set_it() -> None:
        try:
            m.signals["USR1"] = _handler
        except ValueError:
            raised.append("raises ValueError")

    thread = threading.Thread(target=set_it)
    thread.start()
    thread.join()
    return [*raised, m.signals["USR1"]]


def and_wait(m: Module, seconds: float) -> object:
    """Return which alarms went off within a second of being armed."""
    rung: list[int] = []
    m.signals["ALRM"] = lambda number, _frame: rung.append(number)
    m.signals.arm_alarm(seconds)
    deadline = time.monotonic() + 1.0
    while not rung and seconds and time.monotonic() < deadline:
        time.sleep(0.01)
    return rung


def of_an_armed_one(m: Module, seconds: float) -> object:
    """Return what was left of the alarm, and what is armed afterwards."""
    m.signals.arm_alarm(seconds)
    return m.signals.reset_alarm(), signal.getitimer(signal.ITIMER_REAL)


def depends_on_the_hash_seed(m: Module, *numbers: int) -> object:
    """Tell whether processes with different hash seeds give different names."""
    program = f"import {m.__name__} as m; print([m.signal_name(n) for n in {numbers}])"
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
        )
        for seed in range(1, 6)
    ]
    return len({process.communicate()[0] for process in running}) > 1


# --- The table ------------------------------------------------------------------------------------

_NAMES: tuple[Case, ...] = (
    *(
        same("signals.signum", name)
        for name in (
            "INT",
            "SIGINT",
            "TERM",
            "KILL",
            "CLD",
            "CHLD",
            "POLL",
            "IOT",
            "ABRT",
            "RTMIN",
            "SIGRTMAX",
            15,
            999,
            signal.SIGTERM,
            True,
            "NOSUCH",
            "SIG",
            "int",
            "Int",
            "INT ",
            "",
            b"INT",
            None,
            15.0,
        )
    ),
    same("Signals", "INT", doing=of_ones_own),
    differs(14, "signals.signum", "RTMIN+3", celery="raises AttributeError", ours="returns 37"),
    differs(14, "signals.signum", "SIGRTMAX-2", celery="raises AttributeError", ours="returns 62"),
    same("signals.signum", "RTMIN+99"),
    differs(21, "signals.signum", "SIG_IGN", celery="returns 1", ours=_UNKNOWN),
    differs(21, "signals.signum", "SIG_DFL", celery="returns 0", ours=_UNKNOWN),
    differs(21, "signals.signum", "_UNBLOCK", celery="returns 1", ours=_UNKNOWN),
    *(
        same("signals.supported", name)
        for name in ("INT", "SIGKILL", "RTMAX", "NOSUCH", 15, "int", None)
    ),
    differs(14, "signals.supported", "RTMIN+3", celery="returns False", ours="returns True"),
    differs(21, "signals.supported", "SIG_IGN", celery="returns True", ours="returns False"),
    *(
        differs(22, "signals.supported", number, celery="returns True", ours="returns False")
        for number in (999, 0, -1)
    ),
    *(
        same("signal_name", number)
        for number in (1, 2, 9, 15, 34, 64, signal.SIGTERM, True, 0, -1, 32, 65, 999, 2**70)
    ),
    *(same("signal_name", value) for value in ("TERM", "15", None)),
    differs(14, "signal_name", 35, celery="raises KeyError", ours="returns 'RTMIN+1'"),
    differs(14, "signal_name", 37, celery="raises KeyError", ours="returns 'RTMIN+3'"),
    differs(
        14,
        "signal_name",
        17,
        6,
        29,
        doing=depends_on_the_hash_seed,
        celery="returns True",
        ours="returns False",
    ),
    differs(24, "signal_name", 15.0, celery="returns 'TERM'", ours=_UNKNOWN),
    differs(24, "signal_name", [], celery="raises TypeError", ours=_UNKNOWN),
    same("get_signal", "TERM"),
    same("get_signal", 15),
    same("get_signal", "NOSUCH"),
)

_HANDLERS: tuple[Case, ...] = (
    *(same("signals.__getitem__", name) for name in ("USR1", "SIGINT", "KILL", 15)),
    *(same("signals.__getitem__", name) for name in ("NOSUCH", "usr1", 999, None)),
    differs(21, "signals.__getitem__", "SIG_IGN", celery="returns 0", ours=_UNKNOWN),
    same("signals.__setitem__", "HUP", doing=and_be_told),
    *(
        same("signals.__setitem__", name, handler, doing=and_read)
        for name, handler in (
            ("USR1", _handler),
            ("SIGUSR1", _handler),
            (10, _handler),
            ("RTMIN", _handler),
            ("USR1", _IGNORED),
            ("USR1", _DEFAULT),
            ("USR1", 1),
        )
    ),
    *(same("signals.__setitem__", "USR1", handler) for handler in (42, None, "text")),
    *(
        same("signals.__setitem__", name, _handler)
        for name in ("NOSUCH", 999, 0, 32, "usr1", None, "KILL", "STOP", "RTMIN+3")
    ),
    differs(
        23,
        "signals.__setitem__",
        doing=in_a_thread,
        celery="returns [0]",
        ours="returns ['raises ValueError', 0]",
    ),
    *(
        same("signals.reset", *names, doing=after_reset)
        for names in (("USR1",), ("USR1", "SIGUSR2"), (), ("NOSUCH", "USR2"), (10,), ("usr1",))
    ),
    *(
        same("signals.ignore", *names, doing=after_ignore)
        for names in (("USR1",), ("USR1", "SIGUSR2"), (), ("NOSUCH", "USR2"), ("KILL",), (None,))
    ),
    *(
        same("signals.update", given, doing=after_update)
        for given in (
            {"USR1": _IGNORED},
            [("USR2", _IGNORED)],
            {"NOSUCH": _IGNORED, "USR1": _IGNORED},
            {},
            None,
            5,
            {"USR1": "text"},
        )
    ),
    same("signals.update", doing=after_update),
    same("signals.update", USR1=_IGNORED, SIGUSR2=_DEFAULT, doing=after_update),
    same("signals.update", {"USR1": _IGNORED}, USR1=_DEFAULT, doing=after_update),
    same("signals.arm_alarm", 0.01, doing=and_wait),
    same("signals.arm_alarm", 0, doing=and_wait),
    same("signals.arm_alarm", -1),
    same("signals.arm_alarm", "soon"),
    same("signals.reset_alarm"),
    same("signals.reset_alarm", 100, doing=of_an_armed_one),
    *(
        same(function, function, *arguments, doing=of_the_older_name)
        for function, *arguments in (
            ("install_signal_handler", "USR1", _IGNORED),
            ("install_signal_handler", "NOSUCH", _IGNORED),
            ("reset_signal", "USR1"),
            ("ignore_signal", "USR1"),
        )
    ),
)

CASES: tuple[Case, ...] = (*_NAMES, *_HANDLERS)
