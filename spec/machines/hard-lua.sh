#!/bin/sh
# Usage: spec/machines/hard-lua.sh DIR     (by `make apicheck`)
#
# Makes DIR/lua5.4: Debian's Lua 5.4 with assertions, with checks of what C code
# does through its API, and with hard.h, under AddressSanitizer. The source is
# Debian's package, with Debian's patches, from the machine's own mirrors, which
# are asked with an apt configuration in DIR alone; no root is needed for it.
set -eu

dir=$1
cc=${CC:-cc}
here=$(cd "$(dirname "$0")" && pwd)

command -v apt-get >/dev/null || {
    echo "apicheck builds Debian's Lua: there is no apt-get here" >&2
    exit 1
}
mkdir -p "$dir/apt/parts" "$dir/apt/lists/partial" "$dir/apt/state" \
    "$dir/apt/cache/archives/partial"
dir=$(cd "$dir" && pwd)
cd "$dir/apt"

# The same sources, of source packages. Others than Debian's may have none.
: >sources.list
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -f "$list" ] ||
        sed -n 's/^[ \t]*deb\([ \t]\)/deb-src\1/p' "$list" | grep -v cdrom: \
            >>sources.list || true
done
for list in /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$list" ] ||
        sed 's/^Types:.*/Types: deb-src/' "$list" >"parts/${list##*/}"
done

from_debian()
{
    apt-get -qq -o Dir::Etc::SourceList="$PWD/sources.list" \
        -o Dir::Etc::SourceParts="$PWD/parts" -o Dir::State="$PWD/state" \
        -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" \
        -o APT::Sandbox::User= -o Acquire::Retries=3 "$@" >log 2>&1
}

rm -rf lua5.4_* ../source debian
from_debian update || true # whether it was enough is seen next
from_debian source --download-only lua5.4 || {
    cat log >&2
    exit 1
}
mkdir ../source
tar -xf lua5.4_*.orig.tar.* -C ../source --strip-components=1
tar -xf lua5.4_*.debian.tar.*
sed 's/[ \t]*\(#.*\)\{0,1\}$//' debian/patches/series | while read -r patch _; do
    [ -z "$patch" ] ||
        patch -s -f -p1 -d ../source <"debian/patches/$patch"
done

cd ../source/src
rm -f luac.c
$cc -std=gnu99 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
    -fno-sanitize-recover=all -w -D_GNU_SOURCE -DLUA_USE_LINUX -DLUA_COMPAT_5_3 -DLUAI_ASSERT \
    -DLUA_USE_APICHECK -I. \
    -include "$here/hard.h" ./*.c -o "$dir/lua5.4.new" -Wl,-E -lm -ldl
mv "$dir/lua5.4.new" "$dir/lua5.4"
