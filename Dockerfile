# A worker (the default), or any other `visutility` command: docker run IMAGE visutility demo
# SET names the locked set of packages (requirements/): demo has scikit-learn and scipy, which the demo, the objective
# cross_validation and detectors with bins need; worker does without, and is half the size. docs/containers.md
FROM python:3.12-slim AS build
ARG SET=demo
WORKDIR /src
# The base image's pip fills the environment, which gets none of its own.
RUN python -m venv --without-pip /opt/visutility
COPY requirements/${SET}.txt requirements.txt
RUN pip --python /opt/visutility/bin/python install --no-cache-dir --no-compile --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY streams streams
COPY agents agents
RUN pip --python /opt/visutility/bin/python install --no-cache-dir --no-compile --no-deps .
# What no process of ours opens: the packages' own tests, and of plotly all but its script. Byte code is made here, for
# the running container can write none.
RUN cd /opt/visutility && find lib -depth -type d \( -name tests -o -name test \) -exec rm -rf {} + && rm -rf share/jupyter \
    && (cd lib/python3*/site-packages/plotly && rm -rf graph_objs labextension validators package_data/widgetbundle.js) \
    && bin/python -m compileall -q lib

FROM python:3.12-slim
LABEL org.opencontainers.image.title="VisuTility Streams" org.opencontainers.image.licenses="Apache-2.0"
# /data is a container's own; /shared is for what workers and runners share where they share a disk: trained models.
# Their group is 0, for clusters that choose the user themselves (OpenShift) give it that group.
RUN useradd --no-create-home --uid 10001 visutility && install -d -o visutility -g 0 -m 0775 /data /shared
COPY --from=build /opt/visutility /opt/visutility
# The metrics' address is that of the health check below; 0.0.0.0:9464 lets Prometheus in, too.
ENV PATH=/opt/visutility/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VISUTILITY_DATA_DIR=/data \
    VISUTILITY_METRICS_ADDRESS=127.0.0.1:9464
USER visutility
# A visutility.toml here is found by itself.
WORKDIR /etc/visutility
VOLUME /data
# Whether the worker works: its partitions are restored, and it reads. One whose stage fails ends by itself.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/health/ready', timeout=5)"]
STOPSIGNAL SIGTERM
CMD ["visutility", "worker"]
