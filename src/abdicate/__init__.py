"""Give up root in Python, in the right order, and prove it.

Decide everything while nothing has changed, change it in one order, then prove it:

    text or config -> validated spec -> resolved identity -> immutable plan -> executor -> report

Names are loaded when they are first used (PEP 562): ``import abdicate`` itself costs nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.auditing.running import ProcessAudit, audit
    from abdicate.errors import (
        AbdicateError,
        ConfigError,
        ConfigProblem,
        CredentialMismatchError,
        IncompleteDropError,
        LockFailed,
        PreflightError,
        PrivilegeRegainableError,
        SecurityError,
        SecurityWarning,
        SpecError,
        UnknownGroupError,
        UnknownUserError,
        UnsupportedPlatformError,
    )
    from abdicate.executor import Dropped, execute
    from abdicate.identity.accounts import Account, AccountDatabase, Group, SystemAccounts
    from abdicate.identity.capabilities import (
        Capability,
        CapabilitySet,
        CapabilitySets,
        Securebits,
    )
    from abdicate.identity.credentials import Credentials, ResGid, ResUid
    from abdicate.identity.ids import Gid, GroupName, Owner, Uid, UserName
    from abdicate.identity.resolve import Identity
    from abdicate.identity.situation import ResourceLimit
    from abdicate.kernel import system_kernel
    from abdicate.plan.plan import Plan
    from abdicate.plan.planner import plan_drop
    from abdicate.plan.policy import DropPolicy
    from abdicate.plan.report import DropReport
    from abdicate.process.daemon import Daemon, RunningDaemon
    from abdicate.process.pidlock import HeldPidfile, PidLock
    from abdicate.rehearsal import Rehearsal, rehearse
    from abdicate.request import DropRequest
    from abdicate.service import Service, Suppression
    from abdicate.specs.config import Config, load_config
    from abdicate.specs.daemon import DaemonSpec
    from abdicate.specs.drop import GroupSpec, PrivilegeDrop, UserSpec
    from abdicate.specs.pidfile import PidfileSpec
    from abdicate.specs.profile import Profile

__all__ = [
    "AbdicateError",
    "Account",
    "AccountDatabase",
    "Capability",
    "CapabilitySet",
    "CapabilitySets",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "CredentialMismatchError",
    "Credentials",
    "Daemon",
    "DaemonSpec",
    "DropPolicy",
    "DropReport",
    "DropRequest",
    "Dropped",
    "Gid",
    "Group",
    "GroupName",
    "GroupSpec",
    "HeldPidfile",
    "Identity",
    "IncompleteDropError",
    "LockFailed",
    "Owner",
    "PidLock",
    "PidfileSpec",
    "Plan",
    "PreflightError",
    "PrivilegeDrop",
    "PrivilegeRegainableError",
    "ProcessAudit",
    "Profile",
    "Rehearsal",
    "ResGid",
    "ResUid",
    "ResourceLimit",
    "RunningDaemon",
    "Securebits",
    "SecurityError",
    "SecurityWarning",
    "Service",
    "SpecError",
    "Suppression",
    "SystemAccounts",
    "Uid",
    "UnknownGroupError",
    "UnknownUserError",
    "UnsupportedPlatformError",
    "UserName",
    "UserSpec",
    "audit",
    "execute",
    "load_config",
    "plan_drop",
    "rehearse",
    "system_kernel",
]

_HOMES = {
    "abdicate.auditing.running": "ProcessAudit audit",
    "abdicate.errors": (
        "AbdicateError ConfigError ConfigProblem CredentialMismatchError IncompleteDropError "
        "LockFailed PreflightError PrivilegeRegainableError SecurityError SecurityWarning "
        "SpecError UnknownGroupError UnknownUserError UnsupportedPlatformError"
    ),
    "abdicate.executor": "Dropped execute",
    "abdicate.identity.accounts": "Account AccountDatabase Group SystemAccounts",
    "abdicate.identity.capabilities": "Capability CapabilitySet CapabilitySets Securebits",
    "abdicate.identity.credentials": "Credentials ResGid ResUid",
    "abdicate.identity.ids": "Gid GroupName Owner Uid UserName",
    "abdicate.identity.resolve": "Identity",
    "abdicate.identity.situation": "ResourceLimit",
    "abdicate.kernel": "system_kernel",
    "abdicate.plan.plan": "Plan",
    "abdicate.plan.planner": "plan_drop",
    "abdicate.plan.policy": "DropPolicy",
    "abdicate.plan.report": "DropReport",
    "abdicate.process.daemon": "Daemon RunningDaemon",
    "abdicate.process.pidlock": "HeldPidfile PidLock",
    "abdicate.rehearsal": "Rehearsal rehearse",
    "abdicate.request": "DropRequest",
    "abdicate.service": "Service Suppression",
    "abdicate.specs.config": "Config load_config",
    "abdicate.specs.daemon": "DaemonSpec",
    "abdicate.specs.drop": "GroupSpec PrivilegeDrop UserSpec",
    "abdicate.specs.pidfile": "PidfileSpec",
    "abdicate.specs.profile": "Profile",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'abdicate' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
