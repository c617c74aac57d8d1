# The operator's image. `make image` builds it with Docker or buildah from here, and without either by the same program
# (image/) on a machine with Debian or Ubuntu. See docs/unproven.md for what of it has been tried.
#
# The first stage only builds: what is in the image comes from image/packages.txt and requirements/runtime.txt, Python
# included. Its base is named by digest; .github/dependabot.yml proposes newer ones.
ARG PYTHON_IMAGE=python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
# What changes seldom comes first: the environment with the tools that build.
COPY requirements/ requirements/
RUN python -I -m venv /opt/tools \
 && /opt/tools/bin/python -I -m pip install \
      --require-hashes --only-binary :all: --requirement requirements/dev.txt
COPY pyproject.toml README.md LICENSE ./
COPY crds/ crds/
COPY promises/ promises/
COPY operator/ operator/
COPY image/ image/
ARG SOURCE_DATE_EPOCH=0
RUN /opt/tools/bin/python -I -m pip install --no-deps --no-build-isolation --no-index --editable . \
 && SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} /opt/tools/bin/python -m image root /rootfs

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Troth" \
      org.opencontainers.image.description="A Kubernetes operator for internal developer platforms: Promises, kept." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /rootfs /
COPY --from=build --chown=65532:65532 /rootfs/workspace /workspace
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
