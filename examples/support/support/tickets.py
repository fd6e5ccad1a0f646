"""The tickets that wait for an answer, and how a ticket becomes the input of a run.

`python -m support.tickets` lists them; `python -m support.tickets T-1001` prints one run's input as JSON.
"""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

TICKETS = Path(__file__).with_name("tickets.json")


class Ticket(BaseModel):
    """One message of a customer, as it came in; every text in it is written by a stranger."""

    id: str
    sender: str
    received_on: date
    subject: str
    body: str

    def text(self) -> str:
        """The ticket as the agent reads it: a few header lines, an empty line, the body."""
        head = [f"Ticket: {self.id}", f"From: {self.sender}", f"Date: {self.received_on}", f"Subject: {self.subject}"]
        return "\n".join([*head, "", self.body])

    def run_input(self) -> dict[str, Any]:
        """The input of a run that works on this ticket."""
        return {"messages": [{"role": "user", "content": self.text()}]}


def load_tickets(path: Path = TICKETS) -> list[Ticket]:
    """All tickets of the data file. Raises pydantic.ValidationError when it holds anything else."""
    return TypeAdapter(list[Ticket]).validate_json(path.read_bytes())


def main(arguments: list[str]) -> int:
    """Print the list, or the input of one run; 2 when there is no such ticket."""
    tickets = {ticket.id: ticket for ticket in load_tickets()}
    if not arguments:
        print(*(f"{ticket.id}  {ticket.sender}  {ticket.subject}" for ticket in tickets.values()), sep="\n")
        return 0
    if arguments[0] not in tickets:
        print(f"There is no ticket {arguments[0]}.", file=sys.stderr)
        return 2
    print(json.dumps(tickets[arguments[0]].run_input(), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
