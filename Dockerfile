# The image of Bursar: one static program, the certificates of public authorities, and nothing else. docs/deploying.md says how it is built.
FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95-slim-bookworm AS build

# The program tells its own dependencies to scanners (`cargo audit bin`, trivy and others).
RUN cargo install --locked cargo-auditable@0.7.7

WORKDIR /src
ARG TARGETARCH
# Compilers and linkers have these names on either machine, at home as well as abroad.
RUN set -eu; \
    case "$TARGETARCH" in \
        amd64) cpu=x86_64 gnu=x86_64-linux-gnu package=x86-64-linux-gnu ;; \
        arm64) cpu=aarch64 gnu=aarch64-linux-gnu package=aarch64-linux-gnu ;; \
        *) echo "no image for '$TARGETARCH', only for amd64 and arm64" >&2; exit 1 ;; \
    esac; \
    if ! command -v "$gnu-gcc" >/dev/null; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends "gcc-$package" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    rustup target add "$cpu-unknown-linux-gnu"; \
    mkdir .cargo; \
    printf '[build]\ntarget = "%s"\n[target.%s]\nlinker = "%s"\nrustflags = ["-C", "target-feature=+crt-static"]\n' \
        "$cpu-unknown-linux-gnu" "$cpu-unknown-linux-gnu" "$gnu-gcc" >.cargo/config.toml

# The dependencies alone, beneath a program that does nothing: this layer lasts until one of these two files changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && \
    echo '//! Nothing yet.' >src/lib.rs && \
    printf '//! Nothing yet.\nfn main() {}\n' >src/main.rs && \
    cargo auditable build --release --locked && \
    rm -r src

COPY build.rs ./
COPY src src
ARG REVISION="unknown commit"
# Cargo goes by times, and those of the sources are older than the program that does nothing.
RUN find build.rs src -name '*.rs' -exec touch {} + && \
    BURSAR_COMMIT="$REVISION" cargo auditable build --release --locked && \
    install -D target/*/release/bursar /image/usr/local/bin/bursar && \
    install -D --mode=644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt

FROM scratch
ARG VERSION=0.1.0
ARG REVISION="unknown commit"
LABEL org.opencontainers.image.title="Bursar" \
    org.opencontainers.image.description="Holds an application's credentials and pays out access tokens over the managed-identity endpoints that every Azure SDK speaks" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
COPY --from=build /image /
USER 65532:65532
EXPOSE 4141
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/usr/local/bin/bursar", "probe"]
ENTRYPOINT ["/usr/local/bin/bursar"]
CMD ["serve"]
