"""Checkpoints in PostgreSQL."""

from collections.abc import Mapping
from typing import Any

import psycopg
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.rows import dict_row


def create_tables(params: Mapping[str, Any]) -> None:
    """Make or upgrade LangGraph's checkpoint tables. ``params`` are psycopg connection parameters of the owner's role."""
    wanted = {key: params[key] for key in ("host", "port", "dbname", "user", "password") if params.get(key)}
    with psycopg.connect(**wanted, autocommit=True, row_factory=dict_row, prepare_threshold=None) as connection:
        PostgresSaver(connection).setup()
