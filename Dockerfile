# docker build --build-arg RAWSINK_BUILD="0.1.0 ($(git rev-parse --short=12 HEAD))" --tag rawsink .
#
# No setting and no secret is in the image: variables, and files that are mounted, bring them.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# What --version says; the package's version where it is empty.
ARG RAWSINK_BUILD=
RUN cargo build --locked --profile dist --package rawsink-cli && mkdir /data

# glibc, certificates and nothing else: no shell. Runs as user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/rawsink /usr/local/bin/rawsink
COPY --from=build /src/LICENSE-APACHE /src/LICENSE-MIT /usr/share/doc/rawsink/
# Relative paths (RAW_SINK_ROOT, the SQLite state) lie here.
COPY --from=build --chown=65532:65532 /data /data
WORKDIR /data
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/rawsink"]
