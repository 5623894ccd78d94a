"""What was looked at and approved stays as it is."""

from abdicate import Plan


def widened(plan: Plan) -> Plan:
    plan.steps = ()
    return plan
