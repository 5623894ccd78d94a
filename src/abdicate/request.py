"""What was asked, once it is valid: the value in which every way of asking meets.

The pydantic specs, the command line and the function API each turn what they were given into a
`DropRequest`. From there one path leads through the look-ups and the planner to the executor.
"""

from __future__ import annotations

from abdicate.executor import execute
from abdicate.identity.accounts import SystemAccounts
from abdicate.identity.ids import Owner
from abdicate.identity.resolve import GroupPolicy, Identity, resolve
from abdicate.kernel import system_kernel
from abdicate.plan.plan import Plan
from abdicate.plan.planner import plan_drop
from abdicate.plan.policy import DropPolicy
from abdicate.plan.ranges import check_path
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from abdicate.executor import Dropped
    from abdicate.identity.accounts import AccountDatabase
    from abdicate.identity.situation import Situation
    from abdicate.kernel.port import Kernel

__all__ = ["DropRequest"]


class DropRequest(Value):
    """Whom to become, and how.

    Attributes:
        owner: the user and the group; see `Owner` for a half that is not named.
        groups: how the supplementary groups are chosen; None is the default of `resolve`.
        home: a home directory in place of the account's.
        policy: everything that changes besides the identity.
    """

    owner: Owner = Owner()
    groups: GroupPolicy | None = None
    home: str | None = None
    policy: DropPolicy = DropPolicy()

    def __post_init__(self) -> None:
        """Check the home directory.

        Raises:
            SpecError: if it is not an absolute path.
        """
        if self.home is not None:
            check_path("home", self.home)

    def resolve(
        self, accounts: AccountDatabase | None = None, kernel: Kernel | None = None
    ) -> Identity:
        """Look every name up and return the identity.

        Args:
            accounts: where to look; None is the system's own database.
            kernel: whose present credentials stay where nothing else was asked; None is the
                machine's own.

        Raises:
            UnknownUserError, UnknownGroupError, SpecError, PreflightError: as `resolve` does.
            UnsupportedPlatformError: on Windows.
        """
        kernel = system_kernel() if kernel is None else kernel
        return self._identity(accounts, self._situation(kernel))

    def plan(self, accounts: AccountDatabase | None = None, kernel: Kernel | None = None) -> Plan:
        """Look every name up and return the plan for this process, as it is now.

        Raises:
            UnknownUserError, UnknownGroupError, SpecError: as `resolve` does.
            PreflightError: root would remain, and the policy does not allow it.
            UnsupportedPlatformError: on Windows.
        """
        situation = self._situation(system_kernel() if kernel is None else kernel)
        policy = self.policy
        if self.owner.user is None and policy.environment == "account":
            # The user stays, and whatever he has made of his variables with him.
            policy = policy.replace(environment="keep")
        return plan_drop(self._identity(accounts, situation), policy, situation)

    def apply(
        self, accounts: AccountDatabase | None = None, kernel: Kernel | None = None
    ) -> Dropped:
        """Plan, carry out, verify, and return the proof.

        Raises:
            AbdicateError: any of its kinds; nothing has changed.
            IncompleteDropError: any of its kinds; not an `Exception`. Leave the process.
        """
        kernel = system_kernel() if kernel is None else kernel
        return execute(self.plan(accounts, kernel), kernel)

    def _situation(self, kernel: Kernel) -> Situation:
        return kernel.situation([limit.resource for limit in self.policy.limits])

    def _identity(self, accounts: AccountDatabase | None, situation: Situation) -> Identity:
        database = SystemAccounts() if accounts is None else accounts
        return resolve(self.owner, self.groups, database, situation.credentials, home=self.home)
