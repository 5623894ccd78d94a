"""The proof that this process gave up its privileges."""

from __future__ import annotations

from abdicate.plan.report import DropReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Never, NoReturn, final
else:

    def final(decorated):
        """Stand in for `typing.final`, whose module costs 3 ms to import."""
        return decorated


__all__ = ["Dropped", "prove"]


@final
class Dropped:
    """The proof that this process gave up its privileges: only the executor makes one.

    A function that asks for it, ``def serve(sock: socket, proof: Dropped)``, can't be called
    before the drop: for the type checker there is no other way to come by a value of this type.
    It can't be constructed, copied or pickled.
    """

    __slots__ = ("_report",)
    _report: DropReport

    def __new__(cls, only_the_executor_makes_it: Never) -> Dropped:
        """Refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError("a Dropped is a proof: it comes from execute() or apply(), nowhere else")

    @property
    def report(self) -> DropReport:
        """What was done, read back and attacked."""
        return self._report

    def __init_subclass__(cls) -> None:
        raise TypeError("Dropped is final")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a proof is immutable")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a proof is of this process: it can't be pickled or copied")

    def __repr__(self) -> str:
        return f"<Dropped: {self.report.plan.identity}>"


def prove(report: DropReport) -> Dropped:
    """Return the proof that *report* is of; for the executor alone."""
    proof = object.__new__(Dropped)
    object.__setattr__(proof, "_report", report)
    return proof
