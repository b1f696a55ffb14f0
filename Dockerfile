# One image for both programs: `python -m api` and `python -m worker`, and the operator's `safelight`.
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t safelight .
#
# Pin the base by digest: --build-arg BASE=docker.io/library/python:3.13-slim@sha256:...
# Add what SAFELIGHT_FACES=local needs, on linux/amd64: --build-arg FACES=1
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
ARG FACES=
WORKDIR /source
COPY requirements requirements
# Build wheels of the locked packages only. The build backends stay in this stage.
ENV PIP_NO_CACHE_DIR=1
RUN requirements/install.sh --new /tools pip build \
    && /tools/bin/pip wheel --no-deps --require-hashes --no-build-isolation \
        --wheel-dir /wheels -r requirements/runtime.txt ${FACES:+-r requirements/faces.txt}
COPY . .
# `safelight doctor` and `safelight capacity` read the templates.
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/safelight \
    && /tools/bin/pip --python /opt/safelight/bin/python install --no-deps --no-index /wheels/*.whl \
    && /tools/bin/pip --python /opt/safelight/bin/python check \
    && install -D --mode 0644 --target-directory \
        "$(/opt/safelight/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/deploy/ecs" \
        deploy/ecs/data.yaml deploy/ecs/workers.yaml

# The embedded AWS of docker-compose.yml, from its own lock. Not part of the image below.
FROM ${BASE} AS emulator
WORKDIR /source
COPY requirements requirements
ENV PIP_NO_CACHE_DIR=1
RUN requirements/install.sh --new /opt/emulator pip emulator \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --chmod=0755 deploy/healthy.py /usr/local/bin/healthy
COPY --chmod=0644 ops/local/guard.py /opt/emulator/guard.py
USER 10001:10001
WORKDIR /tmp
EXPOSE 4566
CMD ["/opt/emulator/bin/python", "-I", "/opt/emulator/guard.py"]

FROM ${BASE}
# Remove pip and all setuid bits: nothing is installed here later, and no program changes its user.
RUN rm -rf /usr/local/lib/python3.*/site-packages/pip* /usr/local/bin/pip* \
    && groupadd --gid 10001 safelight \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/spool/safelight \
        --shell /usr/sbin/nologin safelight \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/spool/safelight \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/safelight /opt/safelight
COPY presets.toml /etc/safelight/presets.toml
COPY --chmod=0755 deploy/healthy.py /usr/local/bin/healthy

# glibc keeps freed memory in an arena for each thread. With more than two, a worker seems to leak.
# Programs import nothing from the working directory and write nothing beside the code.
ENV PATH=/opt/safelight/bin:/usr/local/bin:/usr/bin:/bin \
    MALLOC_ARENA_MAX=2 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    SAFELIGHT_PRESETS=/etc/safelight/presets.toml \
    SAFELIGHT_SPOOL=/var/spool/safelight \
    TMPDIR=/var/spool/safelight

# The only writable folder. Fargate gives a volume mounted here the owner of the folder in the image.
VOLUME /var/spool/safelight
USER 10001:10001
WORKDIR /
EXPOSE 8080 9464
CMD ["python", "-m", "worker"]
