"""Django admin of tools, rules and the record of approvals."""

from approvals.admin import records, rules, tools

__all__ = ["records", "rules", "tools"]
