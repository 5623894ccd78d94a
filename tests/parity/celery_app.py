"""A tiny application of Celery: one task, which tells who runs it, and a schedule for it.

Run as a program, it asks for the task once, under the name given to it.

Celery has no types, so it is imported by name, and what comes from there is `Any`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

_home = os.environ["ABDICATE_CELERY_HOME"]

app = importlib.import_module("celery").Celery("parity")
app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={
        # Who sends and who takes have a directory each: kombu writes its messages in place, and
        # takes one that is not all there yet.
        "data_folder_out": f"{_home}/outbox",
        "data_folder_in": f"{_home}/inbox",
        "control_folder": f"{_home}/control",
        "polling_interval": 0.1,
    },
    beat_schedule={"often": {"task": "tell", "schedule": 0.2, "args": ("scheduled",)}},
    beat_schedule_filename=f"{_home}/run/schedule",
    task_ignore_result=True,
    # Seconds that a thread of the worker sleeps, which its end has to wait for.
    worker_timer_precision=0.1,
    # It only says that it has, in each log.
    broker_connection_retry_on_startup=False,
)


def tell(name: str) -> None:
    """Leave word, complete at once, of the process that ran this and of its platforms module."""
    word = {
        "process": os.getpid(),
        "parent": os.getppid(),
        "platforms": {
            module: value.platforms.__name__
            for module, value in list(sys.modules.items())
            if module.partition(".")[0] == "celery" and "platforms" in vars(value)
        },
    }
    path = f"{_home}/told/{name}"
    with open(f"{path}.new", "w") as file:
        json.dump(word, file)
    os.rename(f"{path}.new", path)


tell_task = app.task(name="tell")(tell)

if __name__ == "__main__":
    tell_task.delay(sys.argv[1])
