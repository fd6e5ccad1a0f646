"""E-mail through Django's mail back ends: into files by default, by SMTP when EMAIL_URL is set."""

import os
import smtplib
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, InvalidMailer, make_msgid
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.filebased import EmailBackend as FileBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from support.results import ShopError

SENDER = "Harbour Lane Goods <support@harbourlane.example>"


def send(to: str, subject: str, body: str, *, key: str | None) -> str:
    """Send one e-mail and return its Message-ID.

    A repeated `key` gives the same Message-ID, so that a mailbox can recognise the same mail sent twice.
    Raises ShopError when the mail cannot be handed over.
    """
    if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
        settings.configure()
    message_id = f"<{key}@harbourlane.example>" if key else make_msgid(domain="harbourlane.example")
    sender = os.environ.get("SUPPORT_MAIL_FROM", SENDER)
    message = EmailMessage(subject, body, sender, [to], headers={"Message-ID": message_id})
    backend = _backend()
    try:
        backend.open()
    except (smtplib.SMTPException, OSError) as error:
        raise _failed(f"The mail server cannot be reached: {error}", retryable=True) from error
    try:
        backend.send_messages([message])
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        raise _failed(f"The mail server refused the e-mail: {error}", retryable=False) from error
    except (smtplib.SMTPException, OSError) as error:
        said = f"The connection to the mail server was lost, the e-mail may have been sent: {error}"
        raise ShopError("outcome_unknown", said, "Do not send it again; escalate.") from error
    finally:
        backend.close()
    return message_id


def mail_dir() -> Path:
    """Where e-mails are written as files when there is no EMAIL_URL."""
    if chosen := os.environ.get("SUPPORT_MAIL_DIR"):
        return Path(chosen)
    return Path(os.environ.get("AGENTDESK_STATE_DIR") or Path(tempfile.gettempdir(), "support-agent")) / "mail"


def _failed(message: str, *, retryable: bool) -> ShopError:
    return ShopError(
        "mail_failed", message, "Try again once, then escalate." if retryable else "Escalate.", retryable=retryable
    )


def _backend() -> BaseEmailBackend:
    # The options are given here, by name, so that nothing depends on the settings of a Django project around us.
    url = os.environ.get("EMAIL_URL")
    if not url:
        try:
            return FileBackend(alias="support", file_path=str(mail_dir()))
        except InvalidMailer as error:
            raise _failed(f"E-mails cannot be written: {error}", retryable=False) from error
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps", "smtp+ssl", "smtp+tls"}:
        raise _failed(f"EMAIL_URL must begin with smtp://, smtp+tls:// or smtps://, not {parts.scheme}://.", retryable=False)
    return SmtpBackend(
        alias="support",
        host=parts.hostname or "localhost",
        port=parts.port,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_tls=parts.scheme == "smtp+tls",
        use_ssl=parts.scheme in {"smtps", "smtp+ssl"},
        timeout=10,
    )
