# docker build --build-arg RAWSINK_BUILD="0.1.0 ($(git rev-parse --short=12 HEAD))" --tag rawsink .
#
# No setting and no secret is in the image: variables, and files that are mounted, bring them.
FROM docker.io/library/rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
WORKDIR /src
COPY . .
# What --version says; the package's version where it is empty.
ARG RAWSINK_BUILD=
RUN cargo build --locked --profile dist --package rawsink-cli && mkdir /data

# glibc, certificates and nothing else: no shell. Runs as user 65532. The digest is renewed for a release: it has Debian's
# fixes only up to its own day.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
COPY --from=build /src/target/dist/rawsink /usr/local/bin/rawsink
COPY --from=build /src/LICENSE-APACHE /src/LICENSE-MIT /usr/share/doc/rawsink/
# Relative paths (RAW_SINK_ROOT, the SQLite state) lie here.
COPY --from=build --chown=65532:65532 /data /data
WORKDIR /data
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/rawsink"]
