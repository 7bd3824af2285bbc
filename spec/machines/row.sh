#!/bin/sh
# Usage: spec/machines/row.sh suite|gnutls    (by spec/machines/matrix.sh)
#
# The part of a row of `make matrix` that runs on the row's system:
#
#   suite   `make test` under each Lua of $LUAS that this system has
#   gnutls  `make faults` with the libcurl that Debian links with GnuTLS
#
# Lines "version NAME WORDS" say with what; the last line counts the tests.
set -eu

cd "$(dirname "$0")/../.."
log=build/row.log
mkdir -p build
. .ci/counting

version()
{
    name=$1
    shift
    echo "version $name ${*:--}"
}

# Set-up that fails where apt's servers do not answer, or not with every package,
# says nothing about us.
set_up()
{
    said=$(.ci/setup "$@" 2>&1) && {
        [ -z "$said" ] || echo "$said"
        return
    }
    echo "$said"
    if echo "$said" | grep -Eq '^E: (Failed|Unable) to fetch' ||
        { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
            ! apt-get -q -o APT::Update::Error-Mode=any update >/dev/null 2>&1; }; then
        echo "not run: a mirror does not answer"
        exit 75
    fi
    exit 1
}

# from_core LUA: the libcurl that the module finds
from_core()
{
    (eval "$(make -s --no-print-directory env LUA="$1")" &&
        "$1" -e 'local curl = require "chatbot.core".curl_version()
            print(curl.version .. " " .. curl.ssl_version)')
}

what=$1
case $what in
suite) kind=test luas=${LUAS:-lua5.4 lua5.3 lua5.2 lua5.1 luajit} ;;
*) kind=faults luas=lua5.4 ;;
esac
. /etc/os-release
version system "$(echo "$PRETTY_NAME" | sed 's/GNU.Linux //')"
version processor "$(uname -m)"

ran=
for lua in $luas; do
    set_up $kind "$lua"
    make core LUA="$lua"
    ran="$ran $lua"
    case $what in
    suite) counted "make test LUA=$lua" make test LUA="$lua" ;;
    gnutls)
        counted "make faults" make faults LUA="$lua" CURL=libcurl-gnutls.so.4
        ;;
    esac
done

version lua $ran
case $what in
gnutls) found=$(sed -n 's/.* libcurl \([0-9.]* [^ ]*\)$/\1/p' "$log") ;;
*) found=$(from_core "$lua") ;;
esac
version libcurl ${found% *}
version tls ${found#* }
if [ "$what" = suite ]; then
    version neovim $(nvim --version 2>/dev/null | sed -n '1s/NVIM v//p')
    version love $(love --version 2>/dev/null |
        sed -n 's/^LOVE \([0-9.]*\).*/\1/p')
fi
summed_up
