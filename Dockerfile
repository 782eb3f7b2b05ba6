# An image with Tollgate and nothing else: no shell, no package manager, no user but its own.
#
#   docker build --tag tollgate .
#   docker run --publish 127.0.0.1:8000:8000 --volume tollgate:/var/lib/tollgate tollgate
#
# docs/install.md has the rest, and compose.yaml has PostgreSQL beside it.

FROM rust:1.95.0-bookworm AS build
WORKDIR /usr/src/tollgate
COPY . .
RUN cargo build --release --locked --features pg-tls
RUN packaging/image-tree target/release/tollgate /image

FROM scratch
COPY --from=build /image /
ENV TOLLGATE_BIND=0.0.0.0:8000
USER 65532:65532
# Without DATABASE_URL, tollgate.db is made here.
WORKDIR /var/lib/tollgate
VOLUME /var/lib/tollgate
EXPOSE 8000
# Alive, not ready: an engine that restarts what is not well would otherwise end nodes while their
# database is away. The first migration of a large database takes a while.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/bin/tollgate", "health"]
ENTRYPOINT ["/usr/bin/tollgate"]
