# The gateway without the demo: the extra `embedded`, with its own PostgreSQL, is left out.
#
#   docker build -t customer-register-gateway .
#   docker run --rm --env-file owner.env customer-register-gateway migrate
#   docker run -p 8000:8000 --env-file gateway.env -v /etc/gateway:/etc/gateway:ro customer-register-gateway
#
# The environment (the README lists every setting; none is set here, so that none is forgotten):
#
#   GATEWAY_DATABASE_URL         required: PostgreSQL 15 or newer, as the login role `gateway`
#   GATEWAY_SIGNING_KEY_FILE     required: the Ed25519 key (PEM), mounted and readable by the user 10001
#   GATEWAY_OWNER_DATABASE_URL   for `migrate` and `token` alone: the same database as its tables' owner
#   GATEWAY_ISSUER, GATEWAY_AUDIENCE, GATEWAY_PUBLIC_URL   what tokens and links of this store say

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/gateway
WORKDIR /source
COPY requirements.lock ./
RUN /opt/gateway/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY schema schema
COPY policies policies
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/gateway/bin/pip install --no-deps /wheels/*.whl \
    && /opt/gateway/bin/pip check \
    && /opt/gateway/bin/gateway policy check

FROM python:3.11-slim-bookworm
# A fixed number, so that the rights on a mounted key can name it.
RUN groupadd --gid 10001 gateway \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 10001:10001
EXPOSE 8000
# It asks port 8000: give `--no-healthcheck` to a container that migrates, or serves elsewhere.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=2); c.request('GET', '/healthz'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--host", "0.0.0.0"]
