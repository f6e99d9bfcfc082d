# The program with what flows of scripts and downloads need. By default it is built from source; with an archive of `make archive`
# in dist/ nothing is compiled:
#
#   docker build --tag jitney .
#   docker build --tag jitney --build-arg PROGRAM=archive .

ARG PROGRAM=source

FROM rust:1.95-slim-trixie AS source
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies first, with an empty program: this layer stays while only jitney's own code changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -rf src
COPY . .
# Cargo goes by times, and the empty program's are newer than those of the copied files.
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked \
    && install -D target/release/jitney /program/jitney

FROM debian:trixie-slim AS archive
ARG TARGETARCH=amd64
COPY dist /dist
RUN case "$TARGETARCH" in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) exit 1 ;; esac \
    && mkdir /program \
    && tar -xzf "/dist/jitney-$machine-unknown-linux-gnu.tar.gz" -C /program --strip-components=1

# hadolint ignore=DL3006
FROM ${PROGRAM} AS program

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="Jitney" \
      org.opencontainers.image.description="YAML flows for small data teams: extract, load and transform" \
      org.opencontainers.image.licenses="Apache-2.0"
# What the course's flows call: wget, gunzip, Python, and uv for their packages.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
       bash ca-certificates curl git gzip postgresql-client python3 python3-venv tini unzip wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/jitney --uid 10001 jitney
COPY --from=ghcr.io/astral-sh/uv:0.9.13 /uv /uvx /usr/local/bin/
COPY --from=program /program/jitney /usr/local/bin/jitney
# Fails the build if the program does not start on this system.
RUN jitney --version
USER 10001
ENV JITNEY_HOME=/var/lib/jitney \
    JITNEY_SCRIPT_RUNNER=process
VOLUME /var/lib/jitney
WORKDIR /work
EXPOSE 8080
# Of the server alone: a container for one command ends before it is asked.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/health"]
ENTRYPOINT ["/usr/bin/tini", "--", "jitney"]
CMD ["--help"]
