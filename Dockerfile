# syntax=docker/dockerfile:1
# One image for every process: serve, deliverer, worker, scheduler, migrate. Runs as a user without rights, on a
# read-only root; only /tmp and, where one is mounted, the spool are written. Fonts, page files and what reads PDFs
# come with the wheels: no package of the system is added. Every dependency is installed by its hash; where they come from is the
# builder's own configuration of pip (secret "pip", optional).

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
RUN python -m venv /opt/build && python -m venv --without-pip /opt/countersign
COPY deploy/requirements-build.lock requirements.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf,required=false \
    python -m pip --python /opt/build/bin/python install --require-hashes --only-binary :all: -r requirements-build.lock \
 && python -m pip --python /opt/countersign/bin/python install --require-hashes --only-binary :all: -r requirements.lock
COPY . .
RUN python -m pip --python /opt/build/bin/python wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
 && python -m pip --python /opt/countersign/bin/python install --no-deps --no-index /wheels/*.whl \
 && /opt/countersign/bin/python -m compileall -q /opt/countersign/lib

FROM python:3.11.14-slim-bookworm AS runtime
LABEL org.opencontainers.image.title="countersign" \
      org.opencontainers.image.description="A provider-agnostic e-signature gateway and webhook hub"
# A new volume that is mounted on the spool takes its owner from this folder.
RUN groupadd --gid 10001 countersign \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin countersign \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/countersign/spool
COPY --from=build /opt/countersign /opt/countersign
ENV PATH=/opt/countersign/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    COUNTERSIGN_MODE=production COUNTERSIGN_DATA_DIR=/tmp/countersign
WORKDIR /tmp
USER 10001:10001
EXPOSE 8400
STOPSIGNAL SIGTERM
# For `serve`; the other processes have their own in deploy/compose.yaml.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8400/health', timeout=4)"]
ENTRYPOINT ["countersign"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8400"]
