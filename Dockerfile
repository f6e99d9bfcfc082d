# Built in two steps, so that the image holds one program and the certificates that it needs.

FROM rust:1.95-slim AS build
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
    && cargo build --release --locked

FROM debian:stable-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/jitney jitney
COPY --from=build /build/target/release/jitney /usr/local/bin/jitney
USER jitney
ENV JITNEY_HOME=/var/lib/jitney
VOLUME /var/lib/jitney
WORKDIR /work
ENTRYPOINT ["jitney"]
CMD ["--help"]
