# sanimon as a small image: built with Node.js and Rust, run as nobody on a bare Debian.
FROM rust:1.95-bookworm AS build
COPY --from=node:20-bookworm-slim /usr/local/bin/node /usr/local/bin/node
COPY --from=node:20-bookworm-slim /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p sanimon

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/sanimon --create-home sanimon
COPY --from=build /src/target/release/sanimon /usr/local/bin/sanimon
USER sanimon
WORKDIR /var/lib/sanimon
VOLUME /var/lib/sanimon
EXPOSE 8080 1883 8083
ENTRYPOINT ["sanimon"]
CMD ["serve", "--config", "/etc/sanimon/sanimon.toml"]
