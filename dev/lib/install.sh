# shellcheck shell=bash
# Debian packages: installed when we may, named with their command when we may not.

have() { command -v "$1" >/dev/null 2>&1; }

# up_to_3_times COMMAND…: for what comes over a network.
up_to_3_times() {
    "$@" && return
    sleep 2
    "$@" && return
    sleep 10
    "$@"
}

# One that misses a list is a failure, too.
apt_update() { up_to_3_times apt-get -q update -o APT::Update::Error-Mode=any -o Acquire::Retries=5; }

can_install() { [[ $(id -u) == 0 ]] && have apt-get; }

# install_command PACKAGE…: what a person would type.
install_command() {
    if have apt-get; then
        printf 'sudo apt-get install %s' "$*"
    else
        printf 'your package manager, for what Debian calls: %s' "$*"
    fi
}

# While packages are installed, these two keep servers of the machine's own from being started or
# made: Redis would run on the standard port, PostgreSQL's package would create a cluster.
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="# Aegis's dev/stack, while it installs; removed afterwards"
CLUSTER_RULE=/etc/postgresql-common/createcluster.d/aegis-dev.conf

policy_is_ours() { grep -qsxF "$POLICY_MARK" "$POLICY"; }

forbid_servers() {
    mkdir -p "${CLUSTER_RULE%/*}"
    printf 'create_main_cluster = false\n' >"$CLUSTER_RULE"
    [[ ! -e $POLICY ]] || return 0
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY.aegis-dev"
    chmod 755 "$POLICY.aegis-dev"
    mv "$POLICY.aegis-dev" "$POLICY"
}

allow_servers() {
    rm -f "$CLUSTER_RULE" "$POLICY.aegis-dev"
    ! policy_is_ours || rm -f "$POLICY"
}

# lock_installing [OPTION]: one installation at a time on the machine, since the first to end lifts
# what keeps the other's servers from starting.
lock_installing() { exec 6>/run/aegis-dev-install.lock && flock "$@" 6; }

# Lifts what an installation that was killed left in force.
end_killed_install() (
    [[ -e $CLUSTER_RULE ]] || policy_is_ours || return 0
    ! can_install || ! lock_installing --nonblock || allow_servers
)

# apt_install PACKAGE…: quietly.
apt_install() (
    export DEBIAN_FRONTEND=noninteractive
    printf 'installing %s\n' "$*" >&2
    lock_installing
    log=$(mktemp)
    trap 'allow_servers; rm -f "$log"' EXIT
    trap 'exit 130' INT TERM
    forbid_servers

    options=(-q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=5)
    # An update that fails may still leave lists that are good enough.
    apt_update </dev/null >"$log" 2>&1 || true
    if ! apt-get "${options[@]}" install "$@" </dev/null >>"$log" 2>&1; then
        tail -n 20 "$log" | sed 's/^/    /' >&2
        printf 'apt-get could not install %s\n' "$*" >&2
        exit 1
    fi
    # Nor at the machine's next start.
    case " $* " in
    *" redis-server "*) ! have systemctl || systemctl disable -q redis-server >/dev/null 2>&1 || true ;;
    esac
)
