"""What the model offers to those who test with it: starts, threads, faults, a record of calls."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from abdicate.errors import (
    CredentialMismatchError,
    IncompleteDropError,
    PreflightError,
    PrivilegeRegainableError,
)
from abdicate.executor import Dropped, execute
from abdicate.identity.capabilities import Capability, CapabilitySet, CapabilitySets
from abdicate.identity.credentials import Credentials, ResUid
from abdicate.identity.ids import Gid, Uid
from abdicate.identity.resolve import Identity
from abdicate.identity.situation import IdRange, ResourceLimit
from abdicate.kernel.port import Kernel
from abdicate.plan.plan import Plan
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.plan.steps import ChangeDirectory, SetEnvironment
from abdicate.testing import Aborted, FakeKernel, Machine, StaticAccounts

USER, GROUP = Uid(1000), Gid(1000)
APP = Identity("app", USER, GROUP, (GROUP,), home="/srv/app")
NONE = CapabilitySet.EMPTY


def _plan(kernel: Kernel, policy: DropPolicy | None = None) -> Plan:
    policy = DropPolicy() if policy is None else policy
    return plan_drop(APP, policy, kernel.situation([limit.resource for limit in policy.limits]))


def _drop(kernel: Kernel, policy: DropPolicy | None = None) -> Dropped:
    return execute(_plan(kernel, policy), kernel)


def _errno(error: pytest.ExceptionInfo[OSError]) -> int | None:
    return error.value.errno


# Start states.


def test_root_holds_everything() -> None:
    held = FakeKernel.root(groups=[0, 4, 27]).credentials()
    assert held.uid == ResUid.all(Uid(0))
    assert held.groups == (0, 4, 27)
    assert held.capabilities is not None
    assert set(held.capabilities.permitted) == set(Capability)


def test_a_containers_root_holds_what_it_is_given() -> None:
    """P18: capabilities decide, not uid 0."""
    kernel = FakeKernel.root(capabilities=CapabilitySet.of(Capability.SETUID))
    with pytest.raises(PermissionError):
        kernel.set_groups([])
    kernel.set_uid(USER)


def test_a_user_holds_nothing_but_the_bounding_set() -> None:
    held = FakeKernel.user(1000).credentials()
    assert held.gid.real == 1000
    assert held.groups == (1000,)
    assert held.capabilities == CapabilitySets(bounding=Machine().capabilities)


def test_a_user_namespace_has_the_ids_of_its_maps_and_no_others() -> None:
    """P34: EINVAL for an id without a mapping, EPERM where setgroups is denied."""
    kernel = FakeKernel.in_user_namespace()
    with pytest.raises(OSError) as unmapped:
        kernel.set_resuid(USER, USER, USER)
    with pytest.raises(OSError) as denied:
        kernel.set_groups([Gid(0)])
    assert (_errno(unmapped), _errno(denied)) == (errno.EINVAL, errno.EPERM)


def test_a_wide_user_namespace_lets_its_root_drop() -> None:
    lines = (IdRange(0, 100000, 65536),)
    kernel = FakeKernel.in_user_namespace(uids=lines, gids=lines, setgroups_allowed=True)
    assert _drop(kernel).report.ok


def test_what_no_thread_can_hold_is_refused() -> None:
    kill = CapabilitySet.of(Capability.KILL)
    held = FakeKernel.user(1000).credentials()
    for sets in (CapabilitySets(effective=kill), CapabilitySets(permitted=kill, ambient=kill)):
        with pytest.raises(ValueError, match="CAP_KILL"):
            FakeKernel(held.replace(capabilities=sets))


def test_what_a_proc_file_does_not_tell_gets_its_usual_value() -> None:
    parsed = Credentials.parse("Uid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t8\n")
    held = FakeKernel(parsed).credentials()
    assert None not in held.slots().values()
    assert held.uid.real == 7


# The model is a kernel, and nothing but a model.


def test_every_method_of_the_port_is_there_and_can_go_wrong() -> None:
    methods = {name for name in vars(Kernel) if not name.startswith("_")} - {"platform"}
    kernel: Kernel = FakeKernel.root()
    for method in methods:
        assert callable(getattr(kernel, method))
        FakeKernel.root().fail(method, errno.EIO)


def test_nothing_but_the_model_changes() -> None:
    environment, held = dict(os.environ), Credentials.current()
    policy = DropPolicy(umask=0o777, chroot="/tmp", working_directory="/", environment="reset")
    _drop(FakeKernel.root(environment={"HOME": "/root", "LD_PRELOAD": "x"}), policy)
    assert (dict(os.environ), Credentials.current()) == (environment, held)


def test_importing_abdicate_loads_no_testing() -> None:
    program = (
        "import sys, abdicate, abdicate.executor, abdicate.plan.planner\n"
        "sys.exit('abdicate.testing' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_public_face_has_static_accounts_beside_the_kernel() -> None:
    assert StaticAccounts().groups_of("app", GROUP) == (GROUP,)


# Drops, end to end.


def test_a_drop_makes_three_calls_and_then_tries_to_take_it_back() -> None:
    """P22: setreuid and setuid are tried besides setresuid."""
    kernel = FakeKernel.root(groups=[0, 4])
    report = _drop(kernel, DropPolicy(environment="keep")).report
    assert report.ok
    drop, attacks = kernel.calls[:3], kernel.calls[3:]
    assert drop == [
        ("set_groups", ((GROUP,),)),
        ("set_resgid", (GROUP, GROUP, GROUP)),
        ("set_resuid", (USER, USER, USER)),
    ]
    assert {method for method, _ in attacks} == {
        "set_groups",
        "set_regid",
        "set_resgid",
        "set_gid",
        "set_resuid",
        "set_reuid",
        "set_uid",
        "set_thread_capabilities",
    }


def test_an_ordinary_user_is_refused_before_any_call() -> None:
    kernel = FakeKernel.user(2000)
    with pytest.raises(PreflightError, match="CAP_SETUID"):
        _drop(kernel)
    assert kernel.calls == []


def test_the_same_user_has_nothing_to_do() -> None:
    """P42: unprivileged, and already there."""
    kernel = FakeKernel.user(1000, environment={})
    plan = _plan(kernel, DropPolicy(environment="keep"))
    assert plan.steps == ()
    assert execute(plan, kernel).report.ok


def test_the_environment_becomes_the_users() -> None:
    """P40: HOME is not root's any more."""
    kernel = FakeKernel.root(environment={"HOME": "/root", "LANG": "C"})
    _drop(kernel)
    expected = {"HOME": "/srv/app", "LANG": "C", "LOGNAME": "app", "SHELL": "/bin/sh"}
    assert kernel.environment() == expected | {"USER": "app"}


def test_a_reset_environment_keeps_what_it_says() -> None:
    kernel = FakeKernel.root(environment={"LD_PRELOAD": "x", "TERM": "vt100"})
    kernel.set_environment((("PATH", "/bin"),), (), ("TERM",))
    assert kernel.environment() == {"TERM": "vt100", "PATH": "/bin"}


def test_hard_limits_are_raised_with_cap_sys_resource_only() -> None:
    """P38: a root without it is refused in the preflight."""
    policy = DropPolicy(limits=(ResourceLimit("nofile", 10**6, 10**6),))
    kernel = FakeKernel.root()
    assert _drop(kernel, policy).report.ok
    assert kernel.resource_limit("nofile") == policy.limits[0]
    lacking = Machine().capabilities - CapabilitySet.of(Capability.SYS_RESOURCE)
    with pytest.raises(PreflightError, match="CAP_SYS_RESOURCE"):
        _drop(FakeKernel.root(capabilities=lacking), policy)


# Directories.


def test_a_chroot_goes_to_the_new_root_and_hides_proc() -> None:
    """P35, P44: the working directory does not stay outside."""
    kernel = FakeKernel.root(directories=["/srv/jail/data"], working_directory="/tmp")
    kernel.change_root("/srv/jail")
    assert kernel.working_directory() == "/"
    assert kernel.directory_id(".") == kernel.directory_id("/") == "/srv/jail"
    assert kernel.directory_id("/data/../..") == "/srv/jail"
    assert kernel.threads() is None
    assert kernel.credentials().umask is None


def test_proc_that_was_opened_before_a_chroot_stays_in_sight() -> None:
    """P44: the executor verifies every thread all the same."""
    kernel = FakeKernel.root(directories=["/srv/jail"])
    report = _drop(kernel, DropPolicy(chroot="/srv/jail", working_directory="/")).report
    assert report.ok
    assert report.unverified == ()


def test_without_proc_what_was_not_read_is_not_ok() -> None:
    """P44: threads and umask are "not verified"."""
    report = _drop(FakeKernel.root(proc=False)).report
    assert [check.slot for check in report.unverified] == ["every other thread"]


@pytest.mark.parametrize(
    ("path", "number"),
    [("/nowhere", errno.ENOENT), ("/usr/bin/app/x", errno.ENOTDIR), ("/root", errno.EACCES)],
)
def test_a_user_goes_to_no_directory_that_is_missing_or_private(path: str, number: int) -> None:
    kernel = FakeKernel.user(1000, executables=["/usr/bin/app"])
    with pytest.raises(OSError) as refused:
        kernel.change_directory(path)
    assert _errno(refused) == number
    assert kernel.obstacle(path, APP, directory=True) is not None


def test_the_preflight_sees_a_directory_that_the_user_cannot_enter() -> None:
    """P37: root could, and the user will not."""
    kernel = FakeKernel.root()
    with pytest.raises(PreflightError, match=r"/root .* may not be entered by uid 1000"):
        _drop(kernel, DropPolicy(working_directory="/root"))
    kernel.change_directory("/root")


def test_an_executable_is_reachable_or_not() -> None:
    kernel = FakeKernel.root(executables=["/usr/bin/app", "/root/app"])
    assert kernel.obstacle("/usr/bin/app", APP) is None
    assert kernel.obstacle("/usr/bin/other", APP) == "/usr/bin/other does not exist"
    assert "may not be entered" in (kernel.obstacle("/root/app", APP) or "")


# Threads.


def test_ids_change_in_every_thread_and_attributes_in_the_calling_one() -> None:
    """P31: libc makes every thread change its ids; prctl and capset change one thread."""
    kernel = FakeKernel.root()
    other = kernel.start_thread()
    kernel.set_thread_no_new_privs()
    kernel.set_thread_capabilities(NONE, NONE, NONE)
    kernel.switch_thread(other)
    held = kernel.credentials()
    assert held.no_new_privs is False
    assert held.capabilities is not None
    assert Capability.SETUID in held.capabilities.effective


def test_other_threads_change_their_ids_too() -> None:
    kernel = FakeKernel.root()
    other = kernel.start_thread()
    kernel.set_resuid(USER, USER, USER)
    threads = kernel.threads()
    assert threads is not None
    assert threads[other].uid == ResUid.all(USER)


def test_a_new_thread_has_no_death_signal() -> None:
    kernel = FakeKernel.root(parent_death_signal=9)
    kernel.switch_thread(kernel.start_thread())
    assert kernel.parent_death_signal() == 0


def test_a_thread_that_was_left_behind_is_found() -> None:
    """P31: each thread is read back, and not only the calling one."""
    kernel = FakeKernel.root(environment={})
    kernel.start_thread()
    kernel.miss_threads("set_groups")
    with pytest.raises(CredentialMismatchError, match=r"groups \(thread 4243\): .* observed 0"):
        _drop(kernel)


def test_threads_that_differ_from_the_start_are_told() -> None:
    root = FakeKernel.root().credentials()
    kernel = FakeKernel(FakeKernel.user(1000).credentials(), threads=[root], process_id=7)
    threads = kernel.threads()
    assert threads is not None
    assert {thread: int(held.uid.real) for thread, held in threads.items()} == {7: 1000, 8: 0}


def test_an_aborted_process_answers_nothing_any_more() -> None:
    kernel = FakeKernel(FakeKernel.root().credentials(), threads=[FakeKernel.user(1).credentials()])
    for _ in range(2):
        with pytest.raises(Aborted):
            kernel.set_uid(USER)


# The parent.


def test_a_parent_that_dies_before_the_signal_is_armed_ends_the_drop() -> None:
    """P32: nothing would ever be sent."""

    class _Orphaned(FakeKernel):
        def set_thread_parent_death_signal(self, signal: int) -> None:
            self.lose_parent()
            super().set_thread_parent_death_signal(signal)

    with pytest.raises(IncompleteDropError, match="ESRCH"):
        _drop(_Orphaned.root(), DropPolicy(parent_death_signal=9))


# Faults.


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.EAGAIN])
def test_a_call_fails_with_the_errno_that_was_asked_for(number: int) -> None:
    kernel = FakeKernel.root()
    kernel.fail("set_resuid", number)
    with pytest.raises(IncompleteDropError, match=errno.errorcode[number]) as failed:
        _drop(kernel)
    assert failed.value.report.outcomes[2].result == "failed"


def test_the_nth_call_fails_counted_from_now() -> None:
    kernel = FakeKernel.root()
    kernel.set_umask(0o077)
    kernel.fail("set_umask", errno.EPERM, call=2)
    kernel.set_umask(0o027)
    with pytest.raises(PermissionError):
        kernel.set_umask(0)
    kernel.set_umask(0o022)
    assert kernel.credentials().umask == 0o022


def test_an_interrupt_can_come_in_any_call() -> None:
    """P29: no KeyboardInterrupt leaves a process half-done."""
    kernel = FakeKernel.root()
    kernel.fail("set_resgid", KeyboardInterrupt())
    with pytest.raises(IncompleteDropError):
        _drop(kernel)
    assert 0 not in kernel.credentials().uid


def test_a_reading_call_can_fail_as_well() -> None:
    kernel = FakeKernel.root()
    kernel.fail("threads", errno.ENOMEM)
    with pytest.raises(IncompleteDropError, match="ENOMEM"):
        _drop(kernel)


@pytest.mark.parametrize("method", ["set_groups", "set_resgid", "set_resuid", "set_environment"])
def test_a_call_that_lies_is_found_out_by_reading_back(method: str) -> None:
    """P19: success was reported, and nothing happened."""
    kernel = FakeKernel.root(groups=[0, 4])
    kernel.lie(method)
    with pytest.raises(CredentialMismatchError):
        _drop(kernel)


def test_a_saved_uid_that_stays_is_found() -> None:
    """P22: root is one setuid away."""
    kernel = FakeKernel.root()
    kernel.keep_saved_uid()
    with pytest.raises(CredentialMismatchError, match="saved uid: expected 1000, observed 0"):
        _drop(kernel)


@pytest.mark.parametrize("method", ["set_resuid", "set_reuid", "set_uid", "set_gid", "set_groups"])
def test_a_hole_in_the_kernel_is_found_by_trying(method: str) -> None:
    """P30: what reads as dropped can be taken back; never on from there."""
    kernel = FakeKernel.root(groups=[0, 4])
    plan = _plan(kernel)
    kernel.grant(method)
    with pytest.raises(PrivilegeRegainableError) as regained:
        execute(plan, kernel)
    assert len(regained.value.report.regained) == 1


def test_a_fault_of_an_unknown_method_is_refused() -> None:
    kernel = FakeKernel.root()
    with pytest.raises(ValueError, match="'setuid' is none of"):
        kernel.fail("setuid", errno.EPERM)
    with pytest.raises(ValueError, match="'credentials' is none of"):
        kernel.lie("credentials")
    with pytest.raises(ValueError, match="'set_thread_nice' is none of"):
        kernel.miss_threads("set_thread_nice")
    with pytest.raises(ValueError, match="counted from 1"):
        kernel.fail("set_uid", errno.EPERM, call=0)


def test_refused_calls_are_recorded_like_the_others() -> None:
    kernel = FakeKernel.user(1000)
    with pytest.raises(PermissionError):
        kernel.set_uid(Uid(0))
    kernel.set_umask(0o077)
    assert kernel.calls == [("set_uid", (Uid(0),)), ("set_umask", (0o077,))]


# What differs between machines.


def test_the_administrator_decides_what_becomes_of_dumpable() -> None:
    """P33: fs.suid_dumpable."""
    for setting in (0, 1, 2):
        kernel = FakeKernel.root(machine=Machine(suid_dumpable=setting))
        _drop(kernel)
        assert kernel.credentials().dumpable == setting


def test_too_many_groups_are_einval() -> None:
    """P17: never truncated."""
    kernel = FakeKernel.root(machine=Machine(groups_max=2))
    with pytest.raises(OSError) as refused:
        kernel.set_groups([Gid(1), Gid(2), Gid(3)])
    assert _errno(refused) == errno.EINVAL


def test_a_new_session_keyring_has_another_serial_number() -> None:
    kernel = FakeKernel.root()
    before = kernel.session_keyring()
    kernel.join_thread_session_keyring()
    assert kernel.session_keyring() != before


def test_every_kind_of_step_can_be_made_on_the_model() -> None:
    policy = DropPolicy(
        umask=0o027,
        no_new_privs=True,
        capabilities=CapabilitySet.of(Capability.NET_BIND_SERVICE),
        ambient=True,
        bounding=CapabilitySet.of(Capability.NET_BIND_SERVICE),
        lock_securebits=True,
        limits=(ResourceLimit("nofile", 100, 200),),
        nice=-5,
        chroot="/srv/app",
        working_directory="/data",
        environment="reset",
        dumpable=True,
        parent_death_signal=15,
        session_keyring=True,
    )
    kernel = FakeKernel.root(groups=[0, 4], directories=["/srv/app/data"])
    report = _drop(kernel, policy).report
    assert report.ok
    kinds = {type(outcome.step) for outcome in report.outcomes}
    assert len(kinds) == 18
    assert {ChangeDirectory, SetEnvironment} <= kinds
