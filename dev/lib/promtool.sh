# shellcheck shell=bash
# promtool, Prometheus's own reader of metrics and rules, for the tests: from the machine, or out of
# Debian's package, which is not installed, since it would start a server.

PROMTOOL=$CACHE/promtool

promtool_fetched() { [[ -x $PROMTOOL ]]; }

# apt checks the package against the archive's signature. Its lists may be missing, or too old.
promtool_download() {
    apt-get -q download prometheus && return
    can_install || return
    apt_update || true # it may still leave lists that are good enough
    up_to_3_times apt-get -q download prometheus
}

# promtool_unpack FOLDER
promtool_unpack() (
    cd "$1" && promtool_download || exit 1
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool || exit 1
    usr/bin/promtool --version && mv usr/bin/promtool "$PROMTOOL"
)

# Fails where promtool cannot be had, and prints why.
promtool_fetch() {
    local work got=1 log=$STATE/log/promtool-fetch.log
    ! have promtool || return 0
    ! promtool_fetched || return 0
    if ! have apt-get || ! have dpkg-deb; then
        printf 'install it with: %s' "$(install_command prometheus)"
        return 1
    fi
    say "promtool: fetching Debian's package of Prometheus, for $PROMTOOL, once for all checkouts"
    work=$(mktemp -d "$CACHE/promtool.XXXXXX")
    promtool_unpack "$work" </dev/null >"$log" 2>&1 || got=0
    rm -rf "$work"
    ((got)) || printf 'apt could not fetch Prometheus (see %s)' "$log"
    ((got))
}
