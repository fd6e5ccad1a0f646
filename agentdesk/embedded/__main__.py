"""`python -m agentdesk.embedded`: everything of the desk on this machine, as `make run` starts it."""

import os
import sys

from agentdesk.embedded.desk import run
from agentdesk.embedded.errors import CannotStart


def main() -> int:
    if sys.version_info < (3, 12):  # noqa: UP036 - said in words, before something fails in riddles
        print(f"AgentDesk needs Python 3.12 or newer; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 1
    try:
        run(dict(os.environ))
    except CannotStart as problem:
        print(f"AgentDesk cannot start: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
