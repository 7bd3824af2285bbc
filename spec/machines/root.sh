#!/bin/sh
# Usage: spec/machines/root.sh SUITE COMMAND...
#
# Runs COMMAND on another Debian (trixie, sid), in a copy of this
# checkout as it is now, commits or not. The system is below build/roots/SUITE,
# made there once by debootstrap, brought up to date each time.
#
# All of that is seen by its processes only: they have a namespace of mounts and
# one of processes, which end when this does, however it does. So no mount can be
# left behind, no /dev stands where `make clean` removes build/, and LIMIT
# seconds (an hour) after its start nothing of it runs any more (exit code 137).
# Exit code 75 says that COMMAND was not run, and a line "not run: " why.
set -eu

suite=$1
cd "$(dirname "$0")/../.."
roots=$PWD/build/roots
root=$roots/$suite
mirror=${MIRROR:-http://deb.debian.org/debian}

not_run()
{
    echo "not run: $*"
    exit 75
}

if [ -z "${IN_NAMESPACE-}" ]; then
    [ "$(id -u)" = 0 ] ||
        not_run "Debian $suite needs root, as in \`sudo make matrix\`"
    for tool in debootstrap unshare timeout git; do
        command -v "$tool" >/dev/null || not_run "there is no $tool here"
    done
    git rev-parse --git-dir >/dev/null 2>&1 ||
        not_run "git knows no checkout here, of which to make a copy"
    unshare --mount --pid --fork true 2>/dev/null ||
        not_run "this system gives no namespaces"
    exec timeout --foreground -s KILL "${LIMIT:-3600}" \
        unshare --mount --pid --fork --kill-child \
        env IN_NAMESPACE=1 "spec/machines/root.sh" "$@"
fi
shift
trap 'exit 130' INT TERM HUP # the first process of a namespace ignores them

mkdir -p "$roots/cache"
if [ ! -d "$root" ]; then
    rm -rf --one-file-system "$root.new"
    debootstrap --variant=minbase --cache-dir="$roots/cache" \
        --include=make,git,ca-certificates "$suite" "$root.new" "$mirror" \
        >"$roots/$suite.log" 2>&1 ||
        not_run "debootstrap of Debian $suite failed (see $roots/$suite.log)"
    mv "$root.new" "$root"
fi

mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs dev "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
chmod 1777 "$root/tmp" "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
{
    echo 'APT::Install-Recommends "0";'
    apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-)' || true
} >"$root/etc/apt/apt.conf.d/90matrix"

inside()
{
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive ${LUAS:+"LUAS=$LUAS"} \
        ${SPECS:+"SPECS=$SPECS"} ${WERROR:+"WERROR=$WERROR"} chroot "$root" "$@"
}

# A dpkg that was cut short by LIMIT goes on.
apt="apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Retries=2"
inside sh -c "dpkg --configure -a && $apt update && $apt -y dist-upgrade" >"$roots/$suite.log" 2>&1 ||
    not_run "$mirror has no packages for $suite: $(
        grep '^E: ' "$roots/$suite.log" | tail -n 1)"

# What was built in the copy stays, what is older than its sources is made anew.
mkdir -p "$root/chatbot"
find "$root/chatbot" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
git -c core.quotePath=false ls-files --cached --others --exclude-standard |
    while IFS= read -r file; do
        [ ! -e "$file" ] || echo "$file"
    done | tar -c -T - | tar -x --no-same-owner -C "$root/chatbot"
inside sh -c 'cd /chatbot && git init -q && git add -A &&
    git -c user.name=matrix -c user.email=matrix commit -qm "the checkout"'

rc=0
inside sh -c 'cd /chatbot && exec "$@"' sh "$@" </dev/null || rc=$?
exit "$rc"
