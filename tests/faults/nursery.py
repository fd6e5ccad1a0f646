"""``python -m tests.faults.nursery``: a process that has everything imported and forks the desk's processes on demand, so that
what is killed a thousand times is back in a moment. Each child runs the production command's own ``main``.

One JSON object a line on standard input: ``{"log": path, "argv": [program, …], "environment": {…}}``, for each the child's
process id on standard output. All children die with it.
"""

import ctypes
import json
import os
import signal
import sys
import threading
from importlib import import_module
from typing import Any

PR_SET_PDEATHSIG = 1
MAIN = {"celery": "celery.__main__", "daphne": "daphne.cli"}
WARM = (
    "agentdesk.celery", "celery.apps.worker", "celery.worker.consumer", "celery.concurrency.thread", "celery.bin.celery",
    "celery.fixups.django", "kombu.transport.redis", "channels_redis.pubsub", "agentdesk.urls",
    "agentdesk.api", "runs.engine.advance", "runs.engine.agents",
    "runs.tasks", "approvals.tasks", "psycopg_pool", "langchain.agents",
)  # fmt: skip


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")
    import django

    django.setup()
    for name in WARM:
        import_module(name)
    from runs.engine import registry

    registry.load_all()
    if threading.active_count() > 1:
        raise RuntimeError(f"forking needs one thread alone: {threading.enumerate()}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel collects the dead
    print("ready", flush=True)  # noqa: T201 - the stage reads it
    libc, parent = ctypes.CDLL(None), os.getpid()
    for line in iter(sys.stdin.readline, ""):
        wanted = json.loads(line)
        pid = os.fork()
        if pid == 0:
            libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            _be(wanted)
        print(pid, flush=True)  # noqa: T201 - the stage reads it


def _be(wanted: dict[str, Any]) -> None:
    """Be the process that was asked for, to its end."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(wanted["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(wanted["environment"])
    if wanted["environment"].get("FRESH_AGENTS"):
        from runs.engine import registry

        registry.forget()
    from django.conf import settings

    from agentdesk import faults

    settings.FAULTS = wanted["environment"].get("AGENTDESK_FAULTS", "")
    faults.switch_on()
    sys.argv = list(wanted["argv"])
    module = import_module(MAIN[sys.argv[0]])
    status = 0
    try:
        module.main() if sys.argv[0] == "celery" else module.CommandLineInterface.entrypoint()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
