# Two stages: the first one downloads, the second one holds only what runs.
FROM python:3.13-slim AS packages

RUN python -m venv /opt/penstock
COPY requirements.lock /tmp/requirements.lock
RUN /opt/penstock/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements.lock

# The ranks of OpenAI's tokenizer travel in this wheel: nothing is to be fetched when tokens are counted.
RUN /opt/penstock/bin/pip download --no-cache-dir --no-deps --only-binary :all: --dest /opt/ranks litellm==1.106.2 \
    && python -m zipfile --extract /opt/ranks/litellm-1.106.2-*.whl /opt/ranks/litellm \
    && install -D --mode 644 --target-directory /opt/penstock/tokens \
       /opt/ranks/litellm/litellm/litellm_core_utils/tokenizers/fb374d419588a4632f3f557e76b4b70aebbca790

FROM python:3.13-slim

# Text in scans is recognised with these; more languages: tesseract-ocr-deu and so on.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tesseract-ocr-eng \
    && rm -rf /var/lib/apt/lists/*
# A fixed number, so that a volume's owner means the same on every host.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin penstock \
    && install --directory --owner penstock --group penstock /data
COPY --from=packages /opt/penstock /opt/penstock
WORKDIR /app
COPY shared shared
COPY workers workers
COPY api api

ENV PATH=/opt/penstock/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PENSTOCK_HOST=0.0.0.0 \
    PENSTOCK_PORT=8000 \
    PENSTOCK_DATA_DIR=/data \
    PENSTOCK_TIKTOKEN_CACHE_DIR=/opt/penstock/tokens
USER penstock
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PENSTOCK_PORT']}/healthz\", timeout=4)"]
# The shell gives way to uvicorn, which then receives the signals.
CMD ["sh", "-c", "exec uvicorn api.main:app --host $PENSTOCK_HOST --port $PENSTOCK_PORT --loop uvloop --http httptools --no-access-log --no-server-header --timeout-graceful-shutdown 20"]
