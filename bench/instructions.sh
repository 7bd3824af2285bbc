#!/bin/sh
# Usage: bench/instructions.sh BUILD CORE      (by `make instructions`)
#
# Counts instructions per event with callgrind: of the parsing layer, and of the
# whole way from the socket to the text in Lua 5.4 (the server is on loopback).
# Each is the difference of two runs, so that start and end cancel. Compares with
# bench/instructions.txt and fails when one is more than 5 % above what is
# recorded there; RECORD=1 records what was counted. What was recorded with
# another gcc, Lua, libcurl or C library is not compared.
set -eu

build=$1
core=$2
record=bench/instructions.txt
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
server=
end()
{
    exec 9>&- # the server ends with its input
    [ -z "$server" ] || wait "$server" || :
    rm -rf "$tmp"
}
trap end EXIT

# glibc has a memchr and so on for each kind of processor: here those for all.
v=AVX2,-AVX_Fast_Unaligned_Load,-Fast_Unaligned_Load,-ERMS
export GLIBC_TUNABLES="glibc.cpu.hwcaps=-$v,-SSSE3,-SSE4_1,-SSE4_2"

# count COMMAND...: instructions of one run
count()
{
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" \
        2>"$tmp/err" >"$tmp/out" || {
        cat "$tmp/err" "$tmp/out" >&2
        return 1
    }
    sed -n 's/.*Collected : //p' "$tmp/err"
}

# what else the counts depend on
with()
{
    echo "$(uname -m), gcc $(gcc -dumpfullversion)," \
        "$(getconf GNU_LIBC_VERSION), $(lua5.4 -v | cut -d ' ' -f 1,2)," \
        "libcurl $(pkg-config --modversion libcurl)"
}

# parse PART DIALECT: of one event
parse()
{
    a=$(count "$build/parse" "$1" 1000 "$2")
    b=$(count "$build/parse" "$1" 5000 "$2")
    echo $(((b - a) / 4000))
}

# whole EVENTS DIALECT
whole()
{
    LUA_PATH="bench/clients/?.lua;lua/?.lua;lua/?/init.lua;;" \
        LUA_CPATH="$build/lua5.4/?.so;$core/?.so;;" \
        count lua5.4 bench/clients/ours.lua stream \
        "http://127.0.0.1:$port/$1-200-0-1/v1" 1 "$2"
}

: >"$tmp/ports"
mkfifo "$tmp/input"
"$build/server" <"$tmp/input" >"$tmp/ports" &
server=$!
exec 9>"$tmp/input"
while ! read -r port _ <"$tmp/ports"; do sleep 0.05; done

for dialect in chat responses messages; do
    made=$(parse make $dialect) # which is the same in each of the others
    for part in sse scan same; do
        echo "$dialect $part $(($(parse $part $dialect) - made))"
    done
    a=$(whole 20000 $dialect)
    b=$(whole 60000 $dialect)
    echo "$dialect whole $(((b - a) / 40000))"
done >"$tmp/counted"

if [ -n "${RECORD-}" ]; then
    {
        echo "# Instructions per event, counted by \`make instructions\`, written by"
        echo "# \`make instructions RECORD=1\`, in each dialect. sse: sse.c alone;"
        echo "# scan: its scan; same: shape_same, which most events take; whole:"
        echo "# all, Lua 5.4."
        echo "with $(with)"
        cat "$tmp/counted"
    } >"$record"
fi
bad=0
other=$(sed -n 's/^with //p' "$record")
[ "$other" != "$(with)" ] || other=
while read -r dialect part n; do
    name="$dialect $part"
    old=$(sed -n "s/^$name //p" "$record")
    verdict=
    if [ -z "$other" ] && [ $((n * 100)) -gt $((${old:-0} * 105)) ]; then
        verdict="more than 5 % above what is recorded"
        bad=1
    fi
    printf '%-15s %6s instructions per event, recorded %6s  %s\n' "$name" "$n" \
        "${old:-none}" "$verdict"
done <"$tmp/counted"
[ -z "$other" ] ||
    echo "Not compared: recorded with $other; here are $(with)." >&2
[ "$bad" -eq 0 ] || {
    echo "If it must be so: make instructions RECORD=1, and say why." >&2
    exit 1
}
