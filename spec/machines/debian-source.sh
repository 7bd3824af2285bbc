#!/bin/sh
# Usage: spec/machines/debian-source.sh DIR PACKAGE...
#
# Unpacks the source of each Debian package into DIR/PACKAGE-source, with
# Debian's patches where the mirror has them. It comes from the machine's own
# mirrors, which are asked with an apt configuration in DIR/apt alone; no root is
# needed for it.
set -eu

dir=$1
shift

command -v apt-get >/dev/null || {
    echo "$*: Debian's source is wanted, and there is no apt-get here" >&2
    exit 1
}
mkdir -p "$dir/apt/parts" "$dir/apt/lists/partial" "$dir/apt/state" \
    "$dir/apt/cache/archives/partial"
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

: >update.log
from_debian update || cp log update.log # whether it was enough is seen next
for package; do
    source=../$package-source
    rm -rf "${package}"_* debian "$source"
    from_debian source --download-only "$package" ||
        ls "${package}"_*.orig.tar.* >/dev/null 2>&1 || {
        cat update.log log >&2
        exit 1
    }
    mkdir "$source"
    tar -xf "${package}"_*.orig.tar.* -C "$source" --strip-components=1
    [ -f "$(echo "${package}"_*.debian.tar.*)" ] || continue
    tar -xf "${package}"_*.debian.tar.*
    [ -f debian/patches/series ] || continue
    sed 's/[ \t]*\(#.*\)\{0,1\}$//' debian/patches/series |
        while read -r patch _; do
            [ -z "$patch" ] ||
                patch -s -f -p1 -d "$source" <"debian/patches/$patch"
        done
done
