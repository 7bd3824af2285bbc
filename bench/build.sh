#!/bin/sh
# Usage: bench/build.sh BUILD LUA...      (by `make bench` and `make instructions`)
#
# Compiles the bench's programs into BUILD, with a module of clocks for each LUA,
# makes a certificate, and fetches openai-node when there is npm and PEERS is not
# empty. What cannot be had is left out; the bench says so.
set -eu

build=$1
shift
cd "$(dirname "$0")/.."
mkdir -p "$build"

cc="${CC:-cc} -std=c11 -D_GNU_SOURCE ${CFLAGS:--O2 -g}"
libs()
{
    pkg-config --cflags --libs "$@"
}

newer() # newer TARGET SOURCE...: is a source newer than the target?
{
    target=$1
    shift
    [ ! -e "$target" ] || [ -n "$(find "$@" -newer "$target")" ]
}

make_one() # make_one NAME FLAGS...
{
    name=$1
    shift
    if newer "$build/$name" "bench/$name.c" bench/*.h src; then
        $cc -o "$build/$name" "bench/$name.c" "$@"
    fi
}

make_one measure
make_one server $(libs openssl)
make_one limit $(libs libcurl)
make_one parse -Isrc -Ibench src/parsing/*.c src/dialect/*_scan.c
for lua; do
    mkdir -p "$build/$lua"
    if newer "$build/$lua/benchclock.so" bench/clock.c bench/histogram.h; then
        $cc -shared -fPIC $(pkg-config --cflags "$lua") bench/clock.c \
            -o "$build/$lua/benchclock.so"
    fi
done
[ -e "$build/cert.pem" ] ||
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$build/key.pem" -out "$build/cert.pem" -days 3650 \
        -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
        2>/dev/null
cp bench/clients/openai.mjs "$build/"
if [ -n "${PEERS-}" ] && [ ! -d "$build/node_modules/openai" ] &&
    command -v npm >/dev/null; then
    (cd "$build" && npm install --silent --no-audit --no-fund --prefix . \
        openai@6) >/dev/null 2>&1 || echo "openai-node cannot be had" >&2
fi
