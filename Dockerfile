# A worker (the default), or any other `visutility` command: docker run IMAGE visutility demo
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/visutility
COPY requirements/demo.txt requirements/demo.txt
RUN /opt/visutility/bin/pip install --no-cache-dir --require-hashes -r requirements/demo.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY streams streams
COPY agents agents
RUN /opt/visutility/bin/pip install --no-cache-dir --no-deps .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="VisuTility Streams" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 10001 visutility && install -d -o visutility -g visutility /data
COPY --from=build /opt/visutility /opt/visutility
ENV PATH=/opt/visutility/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    VISUTILITY_DATA_DIR=/data
USER visutility
WORKDIR /home/visutility
VOLUME /data
# A worker whose stage fails ends, and so does the container; this tells whether Kafka answers it with fitting topics.
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s CMD ["visutility", "topics", "check"]
STOPSIGNAL SIGTERM
CMD ["visutility", "worker"]
