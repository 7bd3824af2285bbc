#!/bin/sh
# Usage: spec/machines/hard-lua.sh DIR     (by `make apicheck`)
#
# Makes DIR/lua5.4: Debian's Lua 5.4 with assertions, with checks of what C code
# does through its API, and with hard.h, under AddressSanitizer. The source is
# Debian's package, see debian-source.sh.
set -eu

dir=$1
cc=${CC:-cc}
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
"$here/debian-source.sh" "$dir" lua5.4

cd "$dir/lua5.4-source/src"
rm -f luac.c
$cc -std=gnu99 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=all -w -D_GNU_SOURCE -DLUA_USE_LINUX -DLUA_COMPAT_5_3 -DLUAI_ASSERT \
    -DLUA_USE_APICHECK -I. \
    -include "$here/hard.h" ./*.c -o "$dir/lua5.4.new" -Wl,-E -lm -ldl
mv "$dir/lua5.4.new" "$dir/lua5.4"
