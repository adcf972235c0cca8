# Aegis in a container: aegisd, and aegisctl for jobs. Not run here: no container engine was at hand;
# read by hadolint, and its build by the same commands outside. For builds that can be repeated to the
# byte, write the digest of your registry's copy behind each base (`@sha256:…`).
#
#     docker build -t aegis .
#     docker run --rm --network host -e DATABASE_URL -e PRIMARY_ENV=production aegis

FROM rust:1.95.0-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake libssl-dev zlib1g-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bins \
    && install -Dt /out target/release/aegisd target/release/aegisctl

FROM debian:12.12-slim
# curl asks the probes: aegisd listens on the loopback address of its pod.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin aegis
COPY --from=build /out/ /usr/bin/
COPY config/*.yaml /etc/aegis/
USER 10001:10001
WORKDIR /
ENV PRIMARY_ENV=production LOG_FORMAT=json
# Serving ends in order on TERM, within server.shutdown_deadline_ms.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/livez"]
CMD ["/usr/bin/aegisd"]
