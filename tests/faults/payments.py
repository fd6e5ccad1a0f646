"""A payment server for the faults. It lives outside everything that is killed, and counts."""

import json
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Payments:
    """``/charge`` takes one key once, as payment providers do: ``charges`` holds each key's one charge, ``charge_requests`` how
    often it was asked for. ``/wire`` believes every request: ``wires`` holds all of them by receiver."""

    def __init__(self) -> None:
        self.charges: dict[str, tuple[str, str]] = {}
        self.charge_requests: Counter[str] = Counter()
        self.charged: Counter[str] = Counter()
        self.conflicts: list[str] = []
        self.wires: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._guard = threading.Lock()
        payments = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = payments.take(self.path, body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that was killed while it was answered."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="payments").start()

    def take(self, path: str, body: dict[str, Any]) -> str:
        with self._guard:
            if path == "/charge":
                return self._charge(body)
            self.wires[body["to"]].append(body)
            return f"wired {body['amount']} to {body['to']}"

    def _charge(self, body: dict[str, Any]) -> str:
        key, what = body["key"], (body["to"], body["amount"])
        self.charge_requests[key] += 1
        if self.charges.setdefault(key, what) != what:
            self.conflicts.append(key)
        elif self.charge_requests[key] == 1:
            self.charged[body["to"]] += 1
        return f"charged {body['amount']} to {body['to']}"

    def forget(self) -> None:
        with self._guard:
            for kept in (self.charges, self.charge_requests, self.charged, self.conflicts, self.wires):
                kept.clear()

    def duplicates(self) -> int:
        """Effects too many: a receiver charged under two keys, wired to twice, or a key used for two charges."""
        wired = (len(wires) for wires in self.wires.values())
        return sum(max(0, count - 1) for count in (*self.charged.values(), *wired)) + len(self.conflicts)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
