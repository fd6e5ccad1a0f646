"""Django settings: one file, read from the environment.

A value that is not in the environment is looked up in ``<state folder>/env``, which ``make run`` writes, so that
``manage.py`` works beside a running desk.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.utils.csp import CSP

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
STATE_DIR = Path(env.str("AGENTDESK_STATE_DIR", default=str(BASE_DIR / ".agentdesk")))
if (STATE_DIR / "env").is_file():
    env.read_env(STATE_DIR / "env")

# --- What this desk is --------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
INSTANCE = env.str("AGENTDESK_INSTANCE", default="agentdesk")
AGENTDESK_URL = env.str("AGENTDESK_URL", default="http://127.0.0.1:8000").rstrip("/")
EMBEDDED = env.bool("AGENTDESK_EMBEDDED", default=False)
DEMO = env.bool("AGENTDESK_DEMO", default=False)
ENVIRONMENT = env.str("AGENTDESK_ENVIRONMENT", default="Demo" if DEMO else "").strip()  # shown on every page; empty: nothing is
VERSION = "0.1.0"
FAULTS = env.str("AGENTDESK_FAULTS", default="")  # a folder: tests stop processes at named points (agentdesk/faults.py)
AGENTS = env.list("AGENTDESK_AGENTS", default=[str(BASE_DIR / "examples" / "support" / "langgraph.json")])

_url = urlsplit(AGENTDESK_URL)
SECURE = _url.scheme == "https"
LOOPBACK = _url.hostname in {"127.0.0.1", "localhost", "::1"}
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_url.hostname or "", *(["localhost", "127.0.0.1"] if LOOPBACK else [])])
ORIGINS = [AGENTDESK_URL] + ([f"http://{host}:{_url.port or 80}" for host in ("localhost", "127.0.0.1")] if LOOPBACK else [])
CSRF_TRUSTED_ORIGINS = ORIGINS

# --- Apps, middleware, pages --------------------------------------------------------------------------------
INSTALLED_APPS = [
    "agentdesk.apps.AgentDeskConfig",
    "django.contrib.auth",  # before people, whose admin takes over
    "agentdesk.people",
    "agentdesk.audit",
    "agentdesk.live",
    "agentdesk.notices",
    "approvals",
    "runs",
    "agentdesk.apps.DeskAdminConfig",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",  # allauth's pages of passkeys use it
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "django_htmx",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "agentdesk.people.languages.speak",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "agentdesk.urls"
PAGE_THREADS = env.int("PAGE_THREADS", default=12)  # requests that a web process works on at the same time
ASGI_APPLICATION = "agentdesk.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "agentdesk.live.delivery.delivery",
                "approvals.web.halted.halted",
            ],
        },
    },
]

# --- Database: the app's role, and the owner's for migrations and grants ------------------------------------
_DATABASE = env.db_url("DATABASE_URL")
_OWNER = env.db_url("DATABASE_OWNER_URL", default=env.str("DATABASE_URL"))
_OPTIONS = {
    "pool": {"min_size": 0, "max_size": env.int("DATABASE_POOL", default=16), "timeout": 10},
    "server_side_binding": True,
}
# Around a pooler in transaction mode: for the workers' locks and checkpoints, which need sessions of their own.
DATABASE_DIRECT: dict[str, Any] = env.db_url("DATABASE_DIRECT_URL") if env.str("DATABASE_DIRECT_URL", default="") else {}
DATABASES: dict[str, Any] = {
    # Health checks: after PostgreSQL restarted, no request and no run finds a dead connection in the pool.
    "default": {
        **_DATABASE,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**_DATABASE.get("OPTIONS", {}), **_OPTIONS},
    },
    "owner": {**_OWNER, "CONN_MAX_AGE": 0, "TEST": {"MIRROR": "default"}},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Login limits are counted here: in PostgreSQL, so that they hold for all web processes and outlive them.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "people_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}

# --- Broker and channel layer: hints only -------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": f"{INSTANCE}.live"},
    },
}
BROKER_URL = env.str("BROKER_URL", default=REDIS_URL)
QUEUE_RUNS = f"{INSTANCE}.runs"
QUEUE_DESK = f"{INSTANCE}.desk"

# --- People -------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "agentdesk.people.adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "agentdesk.people.adapters.SocialAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody makes the desk write to strangers
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = env.int("REAUTH_SECONDS", default=300)
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = (
    {
        "openid_connect": {
            "APPS": [
                {
                    "provider_id": "sso",
                    "name": env.str("OIDC_NAME", default="Single sign-on"),
                    "client_id": env.str("OIDC_CLIENT_ID"),
                    "secret": env.str("OIDC_CLIENT_SECRET"),
                    "settings": {
                        "server_url": env.str("OIDC_URL"),
                        "scope": env.list("OIDC_SCOPES", default=["openid", "profile", "email"]),
                    },
                }
            ]
        }
    }
    if env.str("OIDC_CLIENT_ID", default="")
    else {}
)
OIDC_ROLES = env.str("OIDC_ROLES", default="")  # JSON, read by agentdesk.people.oidc; a check refuses what is malformed
_oidc = urlsplit(env.str("OIDC_URL", default=""))
_OIDC_ORIGIN = [f"{_oidc.scheme}://{_oidc.netloc}"] if _oidc.netloc else []
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = LOOPBACK

# --- Cookies, sessions, headers -----------------------------------------------------------------------------
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = f"{INSTANCE}_session"
CSRF_COOKIE_NAME = f"{INSTANCE}_csrf"
LANGUAGE_COOKIE_NAME = f"{INSTANCE}_language"
LANGUAGE_COOKIE_AGE = 31_536_000  # a year
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = SECURE and env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if SECURE else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if BEHIND_PROXY else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
    # Browsers apply this to where a form's answer leads to as well: signing in by OIDC leads to the identity provider.
    "form-action": [CSP.SELF, *_OIDC_ORIGIN],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
INPUT_MAX_BYTES = env.int("AGENTDESK_INPUT_MAX_BYTES", default=256 * 1024)

# --- Static files -------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(STATE_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "agentdesk.static_files.VersionedStorage"},
}

# --- Language, time, mail -----------------------------------------------------------------------------------
LANGUAGE_CODE = "en"  # of what is written down, and of workers; what a person reads: agentdesk/people/languages.py
LANGUAGES = [("en", "English"), ("de", "Deutsch")]  # by their own names; how a further one is added: docs/how-to/translate.md
DESK_LANGUAGE = env.str("DESK_LANGUAGE", default=LANGUAGE_CODE)  # for who has not said which
USE_TZ = True
TIME_ZONE = "UTC"
DESK_TIME_ZONE = env.str("DESK_TIME_ZONE", default="UTC")  # of rules that look at the clock
LOCALE_PATHS = [BASE_DIR / "locale"]
_EMAIL = env.email_url("EMAIL_URL", default=f"filemail:///{STATE_DIR / 'mail'}")
vars().update(_EMAIL)
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="AgentDesk <agentdesk@localhost>")

# --- Notifications ------------------------------------------------------------------------------------------
NOTICES_MAIL = bool(env.str("EMAIL_URL", default=""))  # people are written to only where somebody has set up e-mail
# Hosts that webhooks may reach although they are private, and without TLS: for development, tests and a receiver of your own.
NOTICES_PRIVATE_HOSTS: list[str] = env.list("NOTICES_PRIVATE_HOSTS", default=[])
NOTICES_KEEP_DAYS = env.int("NOTICES_KEEP_DAYS", default=30)  # of deliveries and their log

# --- Runs and approvals -------------------------------------------------------------------------------------
APPROVAL_EXPIRES_HOURS = env.int("APPROVAL_EXPIRES_HOURS", default=72)
# Seconds for which an approval may be taken back before its asker hears of it, by risk, such as "medium=5,high=10"; what is not
# named is let go at once, and a tool's own row counts before it (approvals/holding.py).
HOLD_SECONDS: dict[str, str] = env.dict("AGENTDESK_HOLD_SECONDS", default={"medium": "5", "high": "10", "critical": "30"})
# How many different people have to approve at critical risk, whatever the rules say; 1 is for a desk of one person.
CRITICAL_APPROVERS = env.int("CRITICAL_APPROVERS", default=2)
CHECKPOINT_POOL = env.int("CHECKPOINT_POOL", default=16)
CHECKPOINTER = env.str("CHECKPOINTER", default="postgres")  # or the dotted path of a function: runs/engine/foreign.py
# Days for which checkpoints of ended runs are kept, by state, such as "succeeded=30,failed=90"; what is not named: for good.
CHECKPOINTS_KEEP_DAYS: dict[str, str] = env.dict("CHECKPOINTS_KEEP_DAYS", default={})
CHECKPOINT_MAX_BYTES = env.int("CHECKPOINT_MAX_BYTES", default=16 * 1024 * 1024)  # of what one step of a graph writes
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=2.0)
RECYCLE_SECONDS = env.float("RECYCLE_SECONDS", default=60.0)  # age at which a worker in which a tool hangs is replaced
# Of one run, and of one agent's runs together, where its admin sets no others (runs/limits.py says what each counts).
RUN_LIMITS: dict[str, int | Decimal] = {
    "supersteps": 200, "model_calls": 60, "tool_calls": 60, "identical_calls": 10, "tokens": 2_000_000,
    "cost": Decimal(20), "output_chars": 200_000, "active_seconds": 7200, "wall_seconds": 3600,
    "concurrent_runs": 100, "pending_approvals": 1000,
}  # fmt: skip

# --- Secrets in what is shown (agentdesk/masking.py): more names of fields, and more patterns as a JSON list ------------------
MASKED_NAMES: list[str] = [
    "password", "passwd", "pwd", "passphrase", "secret", "token", "api_key", "access_key", "secret_key", "private_key",
    "authorization", "cookie", "credentials", "cvv", "cvc", *env.list("MASKED_NAMES", default=[]),
]  # fmt: skip
MASKED_PATTERNS: list[str] = env.json("MASKED_PATTERNS", default=[])

# --- Logs: one JSON object a line ---------------------------------------------------------------------------
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "agentdesk.telemetry.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "daphne": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
