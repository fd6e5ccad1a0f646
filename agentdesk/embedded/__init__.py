"""PostgreSQL and Valkey from wheels, and the supervisor behind `make run`. Imports nothing of Django."""
