"""E-mail: into files, to a real SMTP server, and what happens when it fails."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import Shop

type Call = Callable[..., dict[str, Any]]

MAIL = {"to": "mara.lindqvist@example.com", "subject": "Re: Lamp – Größe", "body": "Hello,\n\n240.00 € are on their way.\n"}


class _Smtp(socketserver.StreamRequestHandler):
    """As much of SMTP as one client needs."""

    received: list[bytes]
    answer: bytes  # to the text of the mail; empty: hang up

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.received.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                if not self.answer:
                    return
                self.wfile.write(self.answer)
                continue
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


@contextmanager
def _smtp_server(answer: bytes = b"250 ok\r\n") -> Iterator[tuple[int, list[bytes]]]:
    received: list[bytes] = []
    handler = type("Handler", (_Smtp,), {"received": received, "answer": answer})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()
            thread.join()


def test_it_writes_mails_as_files_by_default(call: Call, shop: Shop) -> None:
    sent = call("send_email", **MAIL)
    assert sent["done"] is True
    (mail,) = shop.mails()
    assert (mail["To"], mail["Subject"], mail["Message-ID"]) == (MAIL["to"], MAIL["subject"], sent["message_id"])
    assert "Harbour Lane Goods" in mail["From"]
    assert mail.get_content().strip() == MAIL["body"].strip()


def test_it_gives_a_repeated_mail_the_same_message_id(call: Call, shop: Shop) -> None:
    first, second, other = (call("send_email", key=key, **MAIL)["message_id"] for key in ("k1", "k1", "k2"))
    assert first == second != other


def test_it_sends_by_smtp_when_email_url_says_so(call: Call, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with _smtp_server() as (port, received):
        monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{port}")
        assert call("send_email", **MAIL)["done"] is True
    assert len(received) == 1
    assert b"To: mara.lindqvist@example.com" in received[0]
    assert shop.mails() == []


def test_it_reports_a_mail_server_that_does_not_answer(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    with _smtp_server() as (port, _):
        pass
    monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{port}")
    error = call("send_email", **MAIL)["error"]
    assert (error["kind"], error["retryable"]) == ("mail_failed", True)


@pytest.mark.parametrize(("answer", "kind"), [(b"554 no spam\r\n", "mail_failed"), (b"", "outcome_unknown")])
def test_it_tells_a_refused_mail_from_one_that_may_have_gone_out(
    call: Call, monkeypatch: pytest.MonkeyPatch, answer: bytes, kind: str
) -> None:
    with _smtp_server(answer) as (port, received):
        monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{port}")
        error = call("send_email", **MAIL)["error"]
    assert len(received) == 1
    assert (error["kind"], error["retryable"]) == (kind, False)


def test_it_reports_a_folder_that_cannot_be_written(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SUPPORT_MAIL_DIR", str(tmp_path / "file"))
    assert call("send_email", **MAIL)["error"]["kind"] == "mail_failed"


def test_it_names_the_schemes_of_email_url_when_it_is_another(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_URL", "pigeon://roof")
    assert "smtp://" in call("send_email", **MAIL)["error"]["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"to": "a@b.example, c@d.example"},
        {"to": "nobody"},
        {"to": "a@b.example\nBcc: c@d.example"},
        {"subject": "Hi\r\nBcc: c@d.example"},
        {"body": ""},
    ],
)
def test_it_does_not_start_with_an_address_or_a_subject_that_hides_more(call: Call, shop: Shop, change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        call("send_email", **{**MAIL, **change})
    assert shop.mails() == []


def test_it_puts_mails_below_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from support.mail import mail_dir

    monkeypatch.delenv("SUPPORT_MAIL_DIR", raising=False)
    monkeypatch.setenv("AGENTDESK_STATE_DIR", str(tmp_path))
    assert mail_dir() == tmp_path / "mail"
