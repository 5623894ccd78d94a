"""Signals by name, their handlers, and a clean slate of both for daemons.

A signal that this platform doesn't have is passed over when a handler is set, so that one
table of handlers serves all platforms. Everything else that can't be done is an error; in
particular, a handler can be set on the main thread only, and is not dropped in silence
elsewhere.
"""

from __future__ import annotations

import signal
import sys
from types import MappingProxyType

from abdicate.errors import AbdicateError, SpecError, UnsupportedPlatformError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType
    from typing import TypeAlias

    # None is what signal.getsignal() says of a handler that was not installed from Python.
    Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None

__all__ = [
    "SIGMAP",
    "SIGNAMES",
    "NotMainThreadError",
    "Signals",
    "UnknownSignalError",
    "get_signal",
    "ignore_signal",
    "install_signal_handler",
    "reset_all_signals",
    "reset_signal",
    "signal_name",
    "signals",
]

SIGNAMES = frozenset(name for name in dir(signal) if name.startswith("SIG") and "_" not in name)
"""The names of this platform's signals, with SIG, synonyms included."""

_NUMBERS = {name: int(getattr(signal, name)) for name in sorted(SIGNAMES, reverse=True)}

# Of synonyms, the first of the alphabet: ABRT, CHLD, IO, SYS, which are also the names that
# signal(7) lists first. It comes last in _NUMBERS, and stays.
SIGMAP: Mapping[int, str] = MappingProxyType(
    {number: name for name, number in sorted(_NUMBERS.items(), key=lambda item: item[1])}
)
"""One name, with SIG, for each signal number that has a name of its own."""

# The kernel lets nobody handle, ignore or block these (signal(7)).
_FIXED = frozenset(_NUMBERS[name] for name in ("SIGKILL", "SIGSTOP") if name in _NUMBERS)


class UnknownSignalError(SpecError, KeyError, AttributeError):
    """This platform has no such signal.

    A `ValueError`, and what `celery.platforms` raises: a `KeyError` for a number, an
    `AttributeError` for a name.
    """


class NotMainThreadError(AbdicateError, ValueError):
    """A handler was to be set off the main thread. Also a `ValueError`, as `signal` raises."""


class Signals:
    """The handlers of this process, by signal name.

    Names are in capitals, with or without SIG; real-time signals are ``RTMIN+3`` or
    ``RTMAX-2``. Numbers are taken wherever names are.
    """

    ignored = signal.SIG_IGN
    default = signal.SIG_DFL

    def signum(self, name: str | int) -> int:
        """Return the number of a signal; a number is returned as it is.

        Raises:
            TypeError: *name* is neither a number nor text in capitals.
            UnknownSignalError: this platform has no signal of that name.
        """
        if isinstance(name, int):
            return name
        if not isinstance(name, str) or not name.isupper():
            raise TypeError(f"a signal's name is text in capitals, as 'TERM' is, not {shown(name)}")
        full = name if name.startswith("SIG") else f"SIG{name}"
        number = _NUMBERS.get(full, _real_time_number(full))
        if number is None:
            raise UnknownSignalError("signal", name, "this platform has none of that name")
        return number

    def supported(self, name: str | int) -> bool:
        """Tell whether this platform has the signal.

        Raises:
            TypeError: *name* is neither a number nor text in capitals.
        """
        try:
            return self.signum(name) in signal.valid_signals()
        except UnknownSignalError:
            return False

    def __getitem__(self, name: str | int) -> Handler:
        """Return the handler of a signal: a function, `ignored`, `default`, or None.

        None means that it was installed by something else than Python.

        Raises:
            TypeError: *name* is neither a number nor text in capitals.
            ValueError: this platform has no such signal (`UnknownSignalError` for a name).
        """
        return signal.getsignal(self.signum(name))

    def __setitem__(self, name: str | int, handler: Handler) -> None:
        """Set the handler of a signal; a signal that this platform doesn't have is passed over.

        Raises:
            NotMainThreadError: this is not the main thread.
            OSError: EINVAL: SIGKILL and SIGSTOP can't be handled or ignored.
            TypeError: *handler* is none, or *name* is neither a number nor text in capitals.
        """
        try:
            number = self.signum(name)
        except UnknownSignalError:
            return
        try:
            signal.signal(number, handler)
        except ValueError:
            # Of the two reasons for a ValueError, only the unknown number is to be passed over.
            if number in signal.valid_signals():
                raise _off_main_thread(f"the handler of {signal_name(number)}") from None

    def update(
        self,
        _d_: Mapping[str, Handler] | Iterable[tuple[str, Handler]] | None = None,
        **sigmap: Handler,
    ) -> None:
        """Set several handlers: from a mapping or pairs, and from keywords. See `__setitem__`."""
        for name, handler in dict(_d_ or {}, **sigmap).items():
            self[name] = handler

    def reset(self, *signal_names: str | int) -> None:
        """Give signals their default action. See `__setitem__`."""
        for name in signal_names:
            self[name] = self.default

    def ignore(self, *names: str | int) -> None:
        """Ignore signals. See `__setitem__`."""
        for name in names:
            self[name] = self.ignored

    def arm_alarm(self, seconds: float) -> None:
        """Have SIGALRM sent in *seconds*, which may be a fraction; 0 disarms. setitimer(2).

        Raises:
            OSError: EINVAL: *seconds* is negative.
            UnsupportedPlatformError: on Windows.
        """
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, seconds)
        else:
            raise UnsupportedPlatformError("Windows has no SIGALRM to arm")

    def reset_alarm(self) -> int:
        """Disarm the alarm and return how many seconds it had left, rounded. alarm(2).

        Raises:
            UnsupportedPlatformError: on Windows.
        """
        if sys.platform != "win32":
            return signal.alarm(0)
        raise UnsupportedPlatformError("Windows has no SIGALRM to disarm")


signals: Signals = Signals()
"""The handlers of this process."""

# The names that the function API had before the class. Functions, and not the bound methods:
# type checkers are not to infer what is public.


def get_signal(name: str | int) -> int:
    """Return the number of a signal: `Signals.signum`."""
    return signals.signum(name)


def install_signal_handler(name: str | int, handler: Handler) -> None:
    """Set the handler of a signal: `Signals.__setitem__`."""
    signals[name] = handler


def reset_signal(*signal_names: str | int) -> None:
    """Give signals their default action: `Signals.reset`."""
    signals.reset(*signal_names)


def ignore_signal(*names: str | int) -> None:
    """Ignore signals: `Signals.ignore`."""
    signals.ignore(*names)


def signal_name(signum: int) -> str:
    """Return the name of a signal without SIG: ``"TERM"`` for 15, ``"RTMIN+3"`` for 37 on Linux.

    A number with several names always has the same one of them (see `SIGMAP`).

    Raises:
        UnknownSignalError: this platform has no signal of that number.
    """
    if isinstance(signum, int):
        if signum in SIGMAP:
            return SIGMAP[signum].removeprefix("SIG")
        offset = signum - _NUMBERS.get("SIGRTMIN", signum)
        if offset > 0 and signum < _NUMBERS["SIGRTMAX"]:
            return f"RTMIN+{offset}"
    raise UnknownSignalError("signal", signum, "this platform has none of that number")


def reset_all_signals(*, for_exec: bool) -> None:
    """Undo what was inherited and installed: handlers, ignored signals, the mask, the wakeup fd.

    A fork keeps all of them, and an exec keeps the mask and what is ignored (signal(7)), so a
    daemon that was started with signals blocked would never see its SIGTERM. Signals that are
    pending when the mask is emptied are delivered then. `faulthandler`, where it was enabled,
    needs to be enabled again.

    Args:
        for_exec: True gives every signal its default action, as a program expects to find
            them. False leaves them as they are when Python starts: the same, but SIGPIPE and
            SIGXFSZ are ignored (their errors become exceptions), and SIGINT raises
            `KeyboardInterrupt`.

    Raises:
        NotMainThreadError: this is not the main thread; nothing has changed.
    """
    try:
        # Its descriptor is closed or reused in a daemon: bytes would land in another file.
        signal.set_wakeup_fd(-1)
    except ValueError:
        raise _off_main_thread("the handlers") from None
    for number in signal.valid_signals() - _FIXED:
        signal.signal(number, signal.SIG_DFL)
    if not for_exec:
        signals.ignore("PIPE", "XFSZ")
        signals["INT"] = signal.default_int_handler
    # Last, so that what was pending meets the new handlers.
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _real_time_number(full: str) -> int | None:
    """Return the number of ``SIGRTMIN+3`` or ``SIGRTMAX-2``, None where there is no such one."""
    for base, sign, direction in (("SIGRTMIN", "+", 1), ("SIGRTMAX", "-", -1)):
        name, _, digits = full.partition(sign)
        # At most two digits: int() of a text of any length takes time, and may refuse it.
        if name == base in _NUMBERS and digits.isascii() and digits.isdigit() and len(digits) < 3:
            number = _NUMBERS[base] + direction * int(digits)
            if _NUMBERS["SIGRTMIN"] <= number <= _NUMBERS["SIGRTMAX"]:
                return number
    return None


def _off_main_thread(what: str) -> NotMainThreadError:
    return NotMainThreadError(
        f"{what} can't be set: this is not the main thread, and Python handles signals there only;"
        " set handlers from the main thread, before others are started"
    )
