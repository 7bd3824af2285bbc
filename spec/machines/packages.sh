# Sourced by the scripts that try other Debian packages than this system's, which
# have set $dir, $root, $arch, $suite and $mirror.

not_run()
{
    echo "not run: $*"
    exit 75
}

# unpack PACKAGE...: those of $arch in $suite, and what they need, below $root, by
# an apt whose every file is in $dir: this system's list of packages is not
# touched, and no root is needed. Nothing is installed.
unpack()
{
    apt=$dir/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    echo "deb $mirror $suite main" >"$apt/sources.list"
    cat >"$apt/conf" <<CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "0";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::State "$apt";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
CONF
    APT_CONFIG=$apt/conf apt-get -q update &&
        APT_CONFIG=$apt/conf apt-get -q -y --download-only install "$@" ||
        return 1
    rm -rf "$root"
    mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/sbin"
    ln -s usr/bin usr/lib usr/sbin "$root/"
    for deb in "$apt"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$root" --keep-directory-symlink --no-same-owner ||
            return 1
    done
}
