# An image with rbleak alone: docker build -t rbleak .
# Into the image of an app: COPY --from=rbleak /usr/local/bin/rbleak /usr/local/bin/
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY agent agent
COPY advisories advisories
COPY examples/leaky examples/leaky
# Static, so that it runs in images with an older libc, or with musl. With the
# target named, the flag is not that of build scripts.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' \
    cargo build --release --locked -p rbleak --target "$target" \
 && install -D -m 0755 "target/$target/release/rbleak" /out/rbleak

FROM debian:bookworm-slim
# git is for `audit --update` and `verify --baseline`, procps for finding processes.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git procps \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 rbleak
COPY --from=build /out/rbleak /usr/local/bin/rbleak
USER rbleak
WORKDIR /home/rbleak
ENTRYPOINT ["rbleak"]
CMD ["--help"]
