"""Django admin of tools, rules and the record of approvals."""

from approvals.admin import records, rules, tools, versions

__all__ = ["records", "rules", "tools", "versions"]
