#!/usr/bin/env python
"""Django's command line."""

import os
import sys

if sys.version_info < (3, 12):  # noqa: UP036 - said in words, before an import fails in riddles
    sys.exit(f"AgentDesk needs Python 3.12 or newer; this is {sys.version.split()[0]}.")


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
