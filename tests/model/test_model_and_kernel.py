"""The model and the kernel agree: errno and every slot, after each call of random sequences."""

from __future__ import annotations

import errno
import faulthandler
import resource
import signal
import threading
from random import Random

import pytest

from abdicate.identity.capabilities import CapabilitySet
from abdicate.identity.ids import Gid, Uid
from abdicate.kernel.linux import LinuxKernel
from abdicate.testing import Aborted, FakeKernel
from harness.child import ChildFailed, in_child
from model.laboratory import Laboratory
from model.mirror import machine, mirror
from model.sequences import sequence, shorter
from model.starts import EVERYONES, ROOTS, STARTS

_SEQUENCES = 120  # from each start


def _compare(laboratory: Laboratory, start: str) -> None:
    for number in range(_SEQUENCES):
        calls = sequence(Random(f"{start}, {number}"))
        if laboratory.divergence(start, calls) is not None:
            calls = shorter(calls, lambda fewer: bool(laboratory.divergence(start, fewer)))
            pytest.fail(f"from {start!r}: {laboratory.divergence(start, calls)}", pytrace=False)


@pytest.mark.needs("linux", "user namespace")
@pytest.mark.parametrize("start", EVERYONES)
def test_they_agree_for_everyone(laboratory: Laboratory, start: str) -> None:
    _compare(laboratory, start)


@pytest.mark.needs("linux", "root", "user namespace")
@pytest.mark.parametrize("start", ROOTS)
def test_they_agree_from_where_only_root_can_start(laboratory: Laboratory, start: str) -> None:
    _compare(laboratory, start)


def test_root_is_held_against_the_model_in_two_thousand_sequences() -> None:
    assert _SEQUENCES * len(STARTS) >= 2000


@pytest.mark.needs("root")
def test_too_many_groups_are_refused_alike_and_never_truncated() -> None:
    """P17: 65537 groups are EINVAL, and nothing changes."""
    most = machine().groups_max

    def refused() -> tuple[object, ...]:
        kernel = LinuxKernel()
        fake = mirror(kernel, FakeKernel)
        answers: list[object] = []
        for each in (fake, kernel):
            each.set_groups([Gid(number) for number in range(most)])
            try:
                each.set_groups([Gid(1)] * (most + 1))
            except OSError as error:
                answers.append(error.errno)
            answers.append(len(each.credentials().groups))
        return tuple(answers)

    assert in_child(refused) == (errno.EINVAL, most, errno.EINVAL, most)


@pytest.mark.needs("root")
def test_threads_that_cannot_be_kept_alike_end_the_process_on_both() -> None:
    """P31: libc makes every thread change its ids; where one may not, it gives up the process."""
    none = CapabilitySet.EMPTY

    def one_without_capabilities() -> None:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        LinuxKernel().set_thread_capabilities(none, none, none)
        LinuxKernel().set_resuid(Uid(1000), Uid(1000), Uid(1000))

    with pytest.raises(ChildFailed, match=f"wait status {signal.SIGABRT:#x}"):
        in_child(one_without_capabilities)

    fake = FakeKernel.root()
    fake.start_thread()
    fake.set_thread_capabilities(none, none, none)
    with pytest.raises(Aborted):
        fake.set_resuid(Uid(1000), Uid(1000), Uid(1000))
