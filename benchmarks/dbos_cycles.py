"""`dbos_cycles.py ADDRESS`: the benchmark's steps as a DBOS workflow: plan, wait for a decision, pay, end. Runs in the
environment of requirements.lock."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from dbos import DBOS, SetWorkflowID  # type: ignore[import-not-found]  # not part of the desk's own environment

PATIENCE = 60  # seconds


@DBOS.step()  # type: ignore[untyped-decorator]
def plan(name: str) -> dict[str, str]:
    return {"to": name, "amount": "10.00"}


@DBOS.step()  # type: ignore[untyped-decorator]
def pay(to: str, amount: str) -> str:
    return f"paid {amount} to {to}"


@DBOS.step()  # type: ignore[untyped-decorator]
def end(result: str) -> str:
    return f"Done: {result}"


@DBOS.workflow()  # type: ignore[untyped-decorator]
def payment(name: str) -> str:
    call = plan(name)
    DBOS.set_event("waiting", True)
    decision = DBOS.recv("decision", timeout_seconds=PATIENCE)
    if decision != "approve":
        raise RuntimeError(f"decision was {decision!r}")
    return str(end(pay(call["to"], call["amount"])))


def cycle() -> None:
    name = uuid4().hex
    with SetWorkflowID(name):
        handle = DBOS.start_workflow(payment, name)
    assert DBOS.get_event(name, "waiting", timeout_seconds=PATIENCE)
    DBOS.send(name, "approve", topic="decision")
    assert handle.get_result().startswith("Done")


def go_round(until: float) -> int:
    done = 0
    while time.monotonic() < until:
        cycle()
        done += 1
    return done


def main(address: str) -> None:
    address = address.replace("postgresql://", "postgresql+psycopg://")
    DBOS(config={"name": "bench", "system_database_url": address, "run_admin_server": False, "log_level": "ERROR"})
    DBOS.launch()
    print("ready", flush=True)
    while line := sys.stdin.readline():
        seconds, clients = float(line.split()[0]), int(line.split()[1])
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            counts = [pool.submit(go_round, began + seconds) for _ in range(clients)]
            cycles = sum(count.result() for count in counts)
        print(json.dumps({"cycles": cycles, "seconds": time.monotonic() - began}), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
