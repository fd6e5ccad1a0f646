"""Django admin of tools, rules and the record of approvals."""

from approvals.admin import records, rules, standing, switching, tools, versions

__all__ = ["records", "rules", "standing", "switching", "tools", "versions"]
