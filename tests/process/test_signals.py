"""Signals by name, their handlers, and the clean slate that a daemon starts with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abdicate.errors import AbdicateError, SpecError
from abdicate.process import signals as room
from abdicate.process.signals import (
    SIGMAP,
    SIGNAMES,
    NotMainThreadError,
    UnknownSignalError,
    reset_all_signals,
    signal_name,
    signals,
)
from harness.child import error_in_child, in_child

NAMED = sorted(SIGNAMES)
# The C library uses these two for itself, and signal(2) refuses them (nptl(7)).
OF_THE_LIBRARY = 1 << 32 - 1 | 1 << 33 - 1


def _status(field: str) -> int:
    """One of this process's signal sets, as the kernel shows it: bit n-1 is signal n."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(f"{field}:"):
                return int(line.split()[1], 16)
    raise AssertionError(f"/proc/self/status has no {field}")


def _bits(*numbers: int) -> int:
    return sum(1 << number - 1 for number in numbers)


def _handler(_signum: int, _frame: object) -> None:
    """Stand for an app's own handler."""


# --- Names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_every_signal_has_its_number_with_and_without_sig(name: str) -> None:
    assert signals.signum(name) == getattr(signal, name)
    assert signals.signum(name.removeprefix("SIG")) == getattr(signal, name)


@given(st.integers())
def test_a_number_passes_through(number: int) -> None:
    assert signals.signum(number) == number


@pytest.mark.parametrize("name", ["term", "Term", "", "15", None, b"TERM", 15.0])
def test_a_name_that_is_not_text_in_capitals_is_a_type_error(name: str) -> None:
    with pytest.raises(TypeError, match="in capitals"):
        signals.signum(name)


@pytest.mark.parametrize("name", ["NOSUCH", "SIG_IGN", "_IGN", "SIGSIGTERM", "TERM ", "TERM\0"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(UnknownSignalError, match="none of that name"):
        signals.signum(name)


def test_an_unknown_signal_is_every_error_that_celery_raises_for_one() -> None:
    for kind in (SpecError, ValueError, KeyError, AttributeError):
        assert issubclass(UnknownSignalError, kind)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (signal.SIGTERM, "TERM"),
        (signal.SIGCHLD, "CHLD"),
        (signal.SIGABRT, "ABRT"),
        (signal.SIGIO, "IO"),
        (signal.SIGSYS, "SYS"),
        (9, "KILL"),
    ],
)
def test_d12_a_number_with_several_names_has_the_usual_one(number: int, name: str) -> None:
    """D12: CHLD and not CLD, ABRT and not IOT, IO and not POLL."""
    assert signal_name(number) == name


def test_d12_names_are_the_same_under_every_hash_seed() -> None:
    """D12: celery's name of 17 is CHLD or CLD, by PYTHONHASHSEED."""
    program = """
from abdicate.process.signals import SIGMAP, signal_name
import signal
print(SIGMAP, [signal_name(number) for number in sorted(signal.valid_signals())])
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in range(20)
    }
    assert len(outputs) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="needs real-time signals")
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("RTMIN", "SIGRTMIN"),
        ("RTMIN+0", "SIGRTMIN"),
        ("SIGRTMIN+3", ("SIGRTMIN", 3)),
        ("RTMAX-1", ("SIGRTMAX", -1)),
        ("RTMAX", "SIGRTMAX"),
    ],
)
def test_d12_real_time_signals_have_names(name: str, number: str | tuple[str, int]) -> None:
    """D12: RTMIN+3, as kill -l and systemd write it."""
    base, offset = (number, 0) if isinstance(number, str) else number
    assert signals.signum(name) == getattr(signal, base) + offset


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="needs real-time signals")
def test_d12_a_real_time_signal_is_named_from_the_lowest() -> None:
    """D12: celery knows the first and the last only."""
    assert signal_name(signal.SIGRTMIN + 3) == "RTMIN+3"
    assert signal_name(signal.SIGRTMIN) == "RTMIN"
    assert signal_name(signal.SIGRTMAX) == "RTMAX"


@pytest.mark.parametrize(
    "name",
    [
        *["RTMIN+99", "RTMIN-1", "RTMAX+1", "RTMAX-99", "RTMIN+", "RTMIN+1_0", "RTMIN+１"],
        *["RTMIN+ 3", "RTMIN+3+3", "RTMIN+" + "9" * 10_000, "TERM+1", "RTMIN++3"],
    ],
)
def test_a_real_time_signal_out_of_range_or_form_is_unknown(name: str) -> None:
    with pytest.raises(UnknownSignalError):
        signals.signum(name)


@given(st.sampled_from(sorted(signal.valid_signals())))
def test_every_signal_is_found_by_the_name_it_has(number: int) -> None:
    assert signals.signum(signal_name(number)) == number
    assert signals.signum(f"SIG{signal_name(number)}") == number


@given(
    st.text()
    | st.sampled_from(NAMED).flatmap(lambda name: st.text().map(lambda text: name + text))
    | st.from_regex(r"(SIG)?RTM(IN|AX)[+-][0-9]*", fullmatch=True)
)
def test_no_text_is_a_signal_that_the_platform_does_not_have(text: str) -> None:
    try:
        number = signals.signum(text)
    except (TypeError, UnknownSignalError):
        return
    assert number in signal.valid_signals()


@given(st.integers())
def test_every_number_has_a_name_or_is_unknown(number: int) -> None:
    if number in signal.valid_signals():
        assert signal_name(number)
    else:
        with pytest.raises(UnknownSignalError, match="none of that number"):
            signal_name(number)


@pytest.mark.parametrize("signum", [0, -1, 32, 65, 2**40, "TERM", None, 35.5])
def test_an_unknown_number_is_a_value_error_and_a_key_error(signum: int) -> None:
    """Deviation 14: ValueError says what it is, KeyError is what celery raises."""
    with pytest.raises(ValueError, match="none of that number"):
        signal_name(signum)
    with pytest.raises(KeyError):
        signal_name(signum)


def test_the_constants_are_the_signals_of_this_platform() -> None:
    assert "SIGTERM" in SIGNAMES
    assert "SIGCLD" in SIGNAMES or sys.platform != "linux"
    assert not any("_" in name for name in SIGNAMES)
    assert SIGMAP[15] == "SIGTERM"
    assert set(SIGMAP.values()) <= SIGNAMES
    assert set(SIGMAP) == {int(getattr(signal, name)) for name in SIGNAMES}
    assert list(SIGMAP) == sorted(SIGMAP)


# --- Handlers -----------------------------------------------------------------------------------


def test_a_handler_is_set_and_read_by_name() -> None:
    def child() -> bool:
        signals["USR1"] = _handler
        return signals["SIGUSR1"] is _handler is signal.getsignal(signal.SIGUSR1)

    assert in_child(child)


def test_a_handler_of_a_real_time_signal_is_called() -> None:
    def child() -> list[int]:
        seen: list[int] = []
        signals["RTMIN+3"] = lambda signum, _frame: seen.append(signum)
        os.kill(os.getpid(), signal.SIGRTMIN + 3)
        return seen

    assert in_child(child) == [signal.SIGRTMIN + 3]


def test_signals_are_ignored_and_reset() -> None:
    def child() -> list[bool]:
        signals.ignore("USR1", "SIGUSR2")
        ignored = [signals[name] is signals.ignored for name in ("USR1", "USR2")]
        signals.reset("USR1", "SIGUSR2")
        return [*ignored, *(signals[name] is signals.default for name in ("USR1", "USR2"))]

    assert in_child(child) == [True] * 4


def test_many_handlers_are_set_at_once() -> None:
    def child() -> list[object]:
        signals.update({"USR1": signal.SIG_IGN}, HUP=signal.SIG_IGN, TERM=signal.SIG_DFL)
        signals.update([("USR2", signal.SIG_IGN)])
        signals.update()
        return [signals[name] for name in ("USR1", "HUP", "TERM", "USR2")]

    assert in_child(child) == [signal.SIG_IGN, signal.SIG_IGN, signal.SIG_DFL, signal.SIG_IGN]


def test_signals_that_the_platform_does_not_have_are_passed_over() -> None:
    def child() -> object:
        signals["NOSUCH"] = _handler
        signals[999] = _handler
        signals.update(NOSUCH=_handler, USR1=signal.SIG_IGN)
        signals.ignore("NOSUCH", "USR2")
        signals.reset("NOSUCH")
        return signals["USR1"], signals["USR2"]

    assert in_child(child) == (signal.SIG_IGN, signal.SIG_IGN)


def test_a_signal_that_the_platform_does_not_have_has_no_handler_to_read() -> None:
    with pytest.raises(UnknownSignalError):
        signals["NOSUCH"]
    with pytest.raises(ValueError, match="out of range"):
        signals[999]


def test_only_what_the_platform_has_is_supported() -> None:
    assert signals.supported("TERM")
    assert signals.supported("SIGTERM")
    assert signals.supported(15)
    assert not signals.supported("NOSUCH")
    assert not signals.supported(999)
    with pytest.raises(TypeError):
        signals.supported("term")


def test_what_nobody_can_handle_is_an_error() -> None:
    """sigaction(2): EINVAL for SIGKILL and SIGSTOP, which exist, and so aren't passed over."""
    with pytest.raises(OSError, match="Invalid argument"):
        signals["KILL"] = _handler


def test_what_is_no_handler_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        signals["USR1"] = "handler"  # type: ignore[assignment]  # what is tested


def test_a_handler_off_the_main_thread_is_an_error() -> None:
    """D13: celery drops it in silence, and TERM kills the app half-way."""

    def child() -> list[BaseException]:
        errors: list[BaseException] = []

        attempts: list[Callable[[], None]] = [
            lambda: signals.update(USR1=_handler),
            lambda: signals.reset("USR1"),
            lambda: signals.ignore("USR1"),
            lambda: reset_all_signals(for_exec=True),
        ]

        def work() -> None:
            for attempt in attempts:
                try:
                    attempt()
                except ValueError as error:
                    errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return errors

    errors = in_child(child)
    assert [type(error) for error in errors] == [NotMainThreadError] * 4
    assert "handler of USR1" in str(errors[0])
    assert "not the main thread" in str(errors[0])
    assert isinstance(errors[0], AbdicateError)


def test_what_the_platform_does_not_have_is_passed_over_off_the_main_thread_too() -> None:
    """D13: there was nothing to set, so nothing was lost."""

    def child() -> None:
        thread = threading.Thread(target=signals.ignore, args=("NOSUCH", 999))
        thread.start()
        thread.join()

    in_child(child)  # an exception in the thread would be a warning, and an error here


def test_the_old_function_names_do_the_same() -> None:
    def child() -> object:
        room.install_signal_handler("USR1", _handler)
        installed = signals["USR1"] is _handler
        room.ignore_signal("USR1")
        ignored = signals["USR1"]
        room.reset_signal("USR1")
        return room.get_signal("USR1"), installed, ignored, signals["USR1"]

    assert in_child(child) == (signal.SIGUSR1, True, signal.SIG_IGN, signal.SIG_DFL)


# --- Alarms -------------------------------------------------------------------------------------


def test_an_alarm_of_a_fraction_of_a_second_rings() -> None:
    def child() -> bool:
        rung: list[int] = []
        signals["ALRM"] = lambda signum, _frame: rung.append(signum)
        signals.arm_alarm(0.01)
        deadline = time.monotonic() + 30
        while not rung and time.monotonic() < deadline:
            time.sleep(0.005)
        return rung == [signal.SIGALRM]

    assert in_child(child)


def test_an_alarm_is_disarmed_and_says_what_it_had_left() -> None:
    def child() -> tuple[int, int]:
        signals.arm_alarm(100.5)
        return signals.reset_alarm(), signals.reset_alarm()

    left, nothing = in_child(child)
    assert 99 <= left <= 101
    assert nothing == 0


# --- A clean slate ------------------------------------------------------------------------------


def _soil() -> None:
    """Leave signals handled, ignored and blocked, as a careless parent does."""
    signals.update(TERM=_handler, USR1=_handler, HUP=signal.SIG_IGN)
    signals["RTMIN+3"] = _handler
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])


@pytest.mark.needs("linux")
def test_a_fork_keeps_handlers_and_mask_until_they_are_reset() -> None:
    """D8: a daemon started with TERM blocked can't be stopped."""

    def child() -> tuple[int, ...]:
        _soil()
        blocked = in_child(lambda: _status("SigBlk"))

        def daemon() -> tuple[int, int, int]:
            reset_all_signals(for_exec=True)
            return _status("SigBlk"), _status("SigIgn"), _status("SigCgt") & ~OF_THE_LIBRARY

        return blocked, *in_child(daemon)

    blocked, *after = in_child(child)
    assert blocked == _bits(signal.SIGTERM, signal.SIGUSR2)
    assert after == [0, 0, 0]


@pytest.mark.needs("linux")
def test_a_daemon_in_python_starts_as_python_does() -> None:
    """D8: without python's own three, a broken pipe would kill the daemon."""

    def child() -> tuple[int, int, int, object]:
        _soil()
        reset_all_signals(for_exec=False)
        caught = _status("SigCgt") & ~OF_THE_LIBRARY
        return _status("SigBlk"), _status("SigIgn"), caught, signals["INT"]

    assert in_child(child) == (
        0,
        _bits(signal.SIGPIPE, signal.SIGXFSZ),
        _bits(signal.SIGINT),
        signal.default_int_handler,
    )


def test_what_was_blocked_meets_the_new_handlers() -> None:
    """D8: the mask is emptied last, so a pending interrupt is not lost and not the app's."""

    def child() -> None:
        signals["INT"] = _handler
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        os.kill(os.getpid(), signal.SIGINT)
        reset_all_signals(for_exec=False)

    assert isinstance(error_in_child(child), KeyboardInterrupt)


def test_nothing_writes_to_the_parents_wakeup_descriptor() -> None:
    """D8: asyncio's wakeup descriptor is inherited, and its number reused by another file."""

    def child() -> int:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        reset_all_signals(for_exec=False)
        old = signal.set_wakeup_fd(-1)
        os.close(reading)
        os.close(writing)
        return old

    assert in_child(child) == -1
