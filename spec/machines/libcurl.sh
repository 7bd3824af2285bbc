#!/bin/sh
# Usage: spec/machines/libcurl.sh SUITE [PACKAGE]      (by `make matrix`)
#
# A pass through the module and the fault scenarios on this system, with the
# libcurl of another Debian: PACKAGE, libcurl4 unless it is named, and those of its
# libraries that are not here. They are unpacked below build/libcurl/SUITE. Ends
# with "N passed, N failed"; exit code 75 says that nothing could be run, and a line
# before it why.
set -eu

suite=$1 package=${2:-libcurl4}
cd "$(dirname "$0")/../.."
dir=$PWD/build/libcurl/$suite
root=$dir/root libs=$dir/libs
mirror=${MIRROR:-http://deb.debian.org/debian}
log=$dir/log
. .ci/counting
. spec/machines/packages.sh

for tool in apt-get dpkg dpkg-deb ldd; do
    command -v "$tool" >/dev/null || not_run "there is no $tool here"
done
arch=$(dpkg --print-architecture)

# What libcurl needs and this system has not, beside it in one folder.
gather()
{
    rm -rf "$libs"
    mkdir -p "$libs"
    find "$root" -name 'libcurl.so.4' -exec cp -L {} "$libs/" \;
    [ -f "$libs/libcurl.so.4" ] || return 1
    while :; do
        more=$(LD_LIBRARY_PATH=$libs ldd "$libs"/* |
            awk '/not found/ { print $1 }' | sort -u)
        [ -n "$more" ] || return 0
        for lib in $more; do
            find "$root" -name "$lib" -exec cp -L {} "$libs/" \;
            [ -f "$libs/$lib" ] || return 1
        done
    done
}

mkdir -p "$dir"
[ -d "$root" ] || unpack "$package" >"$dir/apt.log" 2>&1 || {
    rm -rf "$root"
    not_run "no $package of $suite from $mirror (see $dir/apt.log)"
}
gather || not_run "the libraries of $suite's libcurl are not all there"

(. /etc/os-release && echo "version system Debian $VERSION_ID, libcurl of $suite")
echo "version processor $(uname -m)"
echo "version lua lua5.4"
make core LUA=lua5.4
LD_LIBRARY_PATH=$libs
export LD_LIBRARY_PATH
eval "$(make -s --no-print-directory env LUA=lua5.4)"
lua5.4 -e 'local curl = require "chatbot.core".curl_version()
    print("version libcurl " .. curl.version)
    print("version tls " .. curl.ssl_version)'
counted core.lua lua5.4 spec/machines/core.lua
counted "make faults" make faults LUA=lua5.4 CURL="$libs/libcurl.so.4"
summed_up
