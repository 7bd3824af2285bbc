#!/bin/sh
# Usage: spec/machines/processors.sh ARCH [LUA...]    (by `make processors`)
#
# Builds for another processor and runs what it has built under qemu's user mode:
# the C tests, a pass through the module (core.lua: streams, TLS, tools, errors)
# and the specs named below, their servers being native programs on 127.0.0.1.
# ARCH is Debian's name: s390x (big-endian), armhf, i386 (32 bits), arm64.
#
# The packages of that processor are unpacked below build/processors/ARCH. Nothing
# of it is installed, so nothing of it has to run. Ends with "N passed, N failed, N
# skipped"; exit code 75 says that nothing could be run here, and a line before it
# why.
set -eu

arch=$1
shift
cd "$(dirname "$0")/../.."
dir=$PWD/build/processors/$arch
root=$dir/root
log=$dir/log
mirror=${MIRROR:-http://deb.debian.org/debian}
suite=${SUITE:-$(. /etc/os-release && echo "${VERSION_CODENAME:-}")}
specs=${SPECS:-framing payload verdict save tools structured together history plain messages}
. .ci/counting
. spec/machines/packages.sh

# LuaJIT has no port to the mainframe.
case $arch in
s390x) triplet=s390x-linux-gnu qemu=s390x luas='lua5.4 lua5.1' ;;
armhf) triplet=arm-linux-gnueabihf qemu=arm luas='lua5.4 luajit' ;;
i386) triplet=i386-linux-gnu qemu=i386 luas='lua5.4 luajit' ;;
arm64) triplet=aarch64-linux-gnu qemu=aarch64 luas='lua5.4 luajit' ;;
*) echo "ARCH=$arch: choose s390x, armhf, i386 or arm64" >&2 && exit 2 ;;
esac
cc=$(echo "$triplet" | sed 's/^i386/i686/')-gcc
luas=${*:-$luas}

for tool in "$cc" "qemu-$qemu" apt-get dpkg-deb pkg-config; do
    command -v "$tool" >/dev/null || not_run "there is no $tool here"
done


# ---- the packages of that processor ----

packages='libc6 libcurl4-openssl-dev openssl lua-cjson lua-socket lua-cqueues
lua-busted'
for lua in $luas; do
    case $lua in
    luajit) packages="$packages luajit libluajit-5.1-dev" ;;
    *) packages="$packages $lua lib$lua-dev" ;;
    esac
done

want="$suite $packages"
if [ "$(cat "$dir/unpacked" 2>/dev/null)" != "$want" ]; then
    mkdir -p "$dir"
    unpack $packages >"$dir/apt.log" 2>&1 ||
        not_run "no packages for $arch from $mirror (see $dir/apt.log)"
    echo "$want" >"$dir/unpacked"
fi

# What make asks about that processor's Lua and libraries is answered by these.
# A header from there is the system's, and gives no warnings.
cat >"$dir/pkg-config" <<X
#!/bin/sh
PKG_CONFIG_SYSROOT_DIR='$root'
PKG_CONFIG_LIBDIR='$root/usr/lib/$triplet/pkgconfig:$root/usr/share/pkgconfig'
export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR
out=\$(pkg-config "\$@") || exit
echo "\$out" | sed 's/-I/-isystem /g'
X
for lua in $luas; do
    cat >"$dir/$lua" <<X
#!/bin/sh
exec qemu-$qemu -L '$root' '$root/usr/bin/$lua' "\$@"
X
    chmod +x "$dir/pkg-config" "$dir/$lua"
done


# ---- the tests ----

EMULATED=1 # for what is measured
export EMULATED

(. /etc/os-release && echo "version system ${PRETTY_NAME%% *} $suite")
echo "version processor $arch"
echo "version lua $luas"
make="make -s --no-print-directory WERROR=1 CC=$cc PKG_CONFIG=$dir/pkg-config"
tests=$(for t in spec/c/*/*_test.c; do t=${t#spec/c/}; echo "${t%.c}"; done)
# Sanitizers know where memory is, which qemu decides here.
$make -j 2 C_BUILD="$dir/c" C_SANITIZE= $(printf "$dir/c/%s " $tests)
for t in $tests; do
    counted "${t##*/}" "qemu-$qemu" -L "$root" "$dir/c/$t"
done

for lua in $luas; do
    build=build/processors/$arch/build-$lua
    $make -j 2 core LUA="$dir/$lua" BUILD="$build"
    eval "$($make env LUA="$dir/$lua" BUILD="$build")"
    TEST_LUA=$dir/$lua
    export TEST_LUA
    "$TEST_LUA" -e 'local curl = require "chatbot.core".curl_version()
        print("version libcurl " .. curl.version)
        print("version tls " .. curl.ssl_version)'
    counted core.lua "$TEST_LUA" spec/machines/core.lua
    for spec in $specs; do
        counted "$spec" "$TEST_LUA" .ci/busted.lua -o plainTerminal "spec/${spec}_spec.lua"
    done
done

summed_up
