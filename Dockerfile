FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
ENV SQLX_OFFLINE=true
# The dependencies get a layer of their own, compiled around an empty crate, so that a change of src does not repeat them.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && touch src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked
COPY . .
# Cargo judges by time, and the copied files may be older than the empty crate.
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked

FROM debian:bookworm-slim
# hadolint ignore=DL3008 # A pinned version vanishes from the archive with the next certificate update.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin threadkeep
COPY --from=build /build/target/release/threadkeep /usr/local/bin/threadkeep
COPY config /opt/threadkeep/config
WORKDIR /opt/threadkeep
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["threadkeep", "health"]
ENTRYPOINT ["threadkeep"]
CMD ["serve"]
