"""An MCP server on standard input and output: a stock that can be looked at and ordered from."""

from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations

server = FastMCP("stock", log_level="ERROR")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def count(article: str) -> int:
    """How many of an article are in stock."""
    return len(article)


@server.tool(annotations=ToolAnnotations(destructiveHint=True))
def order(article: str, pieces: int) -> str:
    """Order an article from the supplier."""
    return f"ordered {pieces} of {article}"


if __name__ == "__main__":
    server.run("stdio")
