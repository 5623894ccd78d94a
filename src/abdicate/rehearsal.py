"""The rehearsal: the real plan, really applied, in a forked child. This process stays as it is.

Root rehearses directly. An ordinary user may do it in a user namespace, where subuid(5) gives
the user ids to be somebody else with: the same steps and the same checks by the same kernel, with
the ids mapped. Where neither is possible, the rehearsal says what it could not try.
"""

from __future__ import annotations

import errno
import os
import sys

from abdicate.errors import AbdicateError, IncompleteDropError, UnsupportedPlatformError
from abdicate.executor import execute, standing_in_the_way
from abdicate.kernel import system_kernel
from abdicate.plan.plan import Plan
from abdicate.plan.planner import plan_drop
from abdicate.plan.report import DropReport
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from abdicate.kernel.port import Kernel

    Stage = Literal["process", "user namespace", "none"]

__all__ = ["Rehearsal", "rehearse"]

_ACCOUNT_FILES = (("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid"))


class Rehearsal(Value):
    """What a rehearsal showed.

    Attributes:
        stage: where it took place: in a ``process`` like this one, in a ``user namespace``, or
            nowhere (``none``).
        report: the child's report; None where the plan was not carried out.
        obstacles: why it could not be tried, or not as this process would do it.
        error: why it failed, in one line; None where it did not.
    """

    stage: Stage
    report: DropReport | None
    obstacles: tuple[str, ...] = ()
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the plan was carried out, and reached its goal."""
        return self.report is not None and self.report.ok

    def explain(self) -> str:
        """Return the rehearsal as people read it."""
        lines: list[str] = []
        if self.stage == "process":
            lines.append("Rehearsed in a child of this process.")
        elif self.stage == "user namespace":
            lines.append("Rehearsed in a user namespace, where the ids are mapped.")
        else:
            lines.append("Not rehearsed: nothing could be tried from here.")
        lines += [f"  not as this process would do it: {reason}" for reason in self.obstacles]
        if self.report is not None:
            lines.append(self.report.explain())
        elif self.error is not None:
            lines.append(f"FAILED: {self.error}")
        return "\n".join(lines)

    def to_data(self) -> dict[str, object]:
        """Return the rehearsal as what JSON can hold, with its version."""
        return {
            "version": 1,
            "ok": self.ok,
            "stage": self.stage,
            "obstacles": list(self.obstacles),
            "error": self.error,
            "report": None if self.report is None else self.report.to_data(),
        }


if sys.platform == "win32":

    def rehearse(plan: Plan) -> Rehearsal:
        """Refuse: there is no fork on Windows.

        Raises:
            UnsupportedPlatformError: always.
        """
        raise UnsupportedPlatformError("Windows has no fork, and no user ids")

else:

    def rehearse(plan: Plan) -> Rehearsal:
        """Carry *plan* out in a forked child, and return what came of it.

        The child makes the plan anew from its identity and policy where the one given is not for
        this process as it is now. Nothing about the calling process changes; the child is gone when
        this returns.

        Raises:
            UnsupportedPlatformError: on Windows.
            OSError: if no child can be made.
        """
        obstacles = standing_in_the_way(plan, system_kernel())
        if not obstacles:
            return _in_child("process", plan, (), lambda: None)
        if sys.platform != "linux" or os.geteuid() == 0:
            return Rehearsal("none", None, obstacles)
        return _in_user_namespace(plan, obstacles)

    def _in_user_namespace(plan: Plan, obstacles: tuple[str, ...]) -> Rehearsal:
        from abdicate.kernel.namespace import (
            enter_user_namespace,
            map_ids,
            subordinate_ranges,
        )

        uid, gid = os.geteuid(), os.getegid()
        user = _own_name(uid)
        ranges = [subordinate_ranges(path, user, uid) for _, path in _ACCOUNT_FILES]
        if not all(ranges):
            none = (
                f"{user or uid} has no subordinate ids (/etc/subuid, /etc/subgid) to rehearse with"
            )
            return Rehearsal("none", None, (*obstacles, none))
        entered, mapped = os.pipe(), os.pipe()

        def enter() -> None:
            os.close(entered[0])
            os.close(mapped[1])
            enter_user_namespace()
            os.write(entered[1], b"+")
            if os.read(mapped[0], 1) != b"+":
                raise OSError(errno.EPERM, "the ids could not be mapped")

        def map_child(child: int) -> None:
            os.close(entered[1])
            os.close(mapped[0])
            try:
                if os.read(entered[0], 1) == b"+":
                    for (program, _), own, given in zip(
                        _ACCOUNT_FILES, (uid, gid), ranges, strict=True
                    ):
                        map_ids(child, program, own, given)
                    os.write(mapped[1], b"+")
            finally:
                os.close(entered[0])
                os.close(mapped[1])

        return _in_child("user namespace", plan, obstacles, enter, map_child)

    def _own_name(uid: int) -> str | None:
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return None

    def _in_child(
        stage: Stage,
        plan: Plan,
        obstacles: tuple[str, ...],
        enter: Callable[[], None],
        help_child: Callable[[int], None] = lambda child: None,
    ) -> Rehearsal:
        import json

        answer, answering = os.pipe()
        child = os.fork()
        if child == 0:
            # Whatever happens here, this copy of the caller never returns into its code.
            try:
                os.close(answer)
                _write_all(answering, json.dumps(_perform(plan, enter)).encode())
            finally:
                os._exit(0)
        os.close(answering)
        error: str | None = None
        try:
            help_child(child)
        except OSError as refused:
            error = refused.strerror or str(refused)
        text = _read_all(answer)
        os.close(answer)
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            pass  # whoever ignores SIGCHLD has no children to wait for, wait(2)
        if error is not None:
            return Rehearsal("none", None, (*obstacles, error))
        if not text:
            return Rehearsal(stage, None, obstacles, "the child died without a report")
        data = json.loads(text)
        if not data.get("entered"):
            return Rehearsal("none", None, (*obstacles, str(data["error"])))
        if data.get("error") is not None:
            return Rehearsal(stage, None, obstacles, str(data["error"]))
        return Rehearsal(stage, DropReport.from_data(data["report"]), obstacles)

    def _perform(plan: Plan, enter: Callable[[], None]) -> dict[str, object]:
        """Be the child: carry the plan out, and tell what came of it."""
        try:
            enter()
        except OSError as refused:
            return {"entered": False, "error": f"no user namespace: {refused.strerror}"}
        try:
            kernel = system_kernel()
            report = execute(_for_here(plan, kernel), kernel).report
        except IncompleteDropError as failed:
            report = failed.report
        except (AbdicateError, OSError) as refused:
            return {"entered": True, "error": str(refused)}
        return {"entered": True, "report": report.to_data()}

    def _for_here(plan: Plan, kernel: Kernel) -> Plan:
        situation = kernel.situation([limit.resource for limit in plan.policy.limits])
        if situation.credentials == plan.prior:
            return plan
        return plan_drop(plan.identity, plan.policy, situation)

    def _write_all(descriptor: int, data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    def _read_all(descriptor: int) -> bytes:
        chunks: list[bytes] = []
        while chunk := os.read(descriptor, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
