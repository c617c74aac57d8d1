# The operator's image. See docs/unproven.md for what of it has been tried.
#
# The base is named by digest, so that two builds are of the same bytes; .github/dependabot.yml proposes newer ones. Another:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:… --tag troth:dev .
ARG PYTHON_IMAGE=python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
# What changes seldom comes first: the runtime's environment, which has no pip, and one with the tools that build.
COPY requirements/ requirements/
RUN python -I -m venv --without-pip /opt/troth \
 && python -I -m pip --python /opt/troth/bin/python install \
      --require-hashes --only-binary :all: --requirement requirements/runtime.txt
RUN python -I -m venv /opt/tools \
 && /opt/tools/bin/python -I -m pip install \
      --require-hashes --only-binary :all: --requirement requirements/dev.txt
COPY pyproject.toml README.md LICENSE ./
COPY crds/ crds/
COPY promises/ promises/
COPY operator/ operator/
RUN /opt/tools/bin/python -I -m pip wheel --no-deps --no-build-isolation --wheel-dir /src/dist . \
 && python -I -m pip --python /opt/troth/bin/python install --no-deps --no-index /src/dist/*.whl \
 && /opt/troth/bin/troth --version

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Troth" \
      org.opencontainers.image.description="A Kubernetes operator for internal developer platforms: Promises, kept." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# git and ssh are what the operator starts; tini reaps what git leaves behind. ssh wants its user to have a name.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git openssh-client tini \
 && rm -rf /var/lib/apt/lists/* \
 && python -I -m pip uninstall --yes --quiet --root-user-action ignore setuptools wheel pip \
 && groupadd --gid 65532 troth \
 && useradd --uid 65532 --gid 65532 --home-dir /workspace --create-home --shell /usr/sbin/nologin troth
COPY --from=build /opt/troth /opt/troth
ENV PATH=/opt/troth/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /workspace
EXPOSE 8080 8081
# Kubernetes asks /healthz and /readyz; a check inside the container would be a second opinion that nobody reads.
HEALTHCHECK NONE
ENTRYPOINT ["tini", "--", "troth"]
CMD ["operator"]
