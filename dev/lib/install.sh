# shellcheck shell=bash
# Debian packages: installed when we may, named with their command when we may not.

have() { command -v "$1" >/dev/null 2>&1; }

can_install() { [[ $(id -u) == 0 ]] && have apt-get; }

# install_command PACKAGE…: what a person would type.
install_command() {
    if have apt-get; then
        printf 'sudo apt-get install %s' "$*"
    else
        printf 'your package manager, for what Debian calls: %s' "$*"
    fi
}

# apt_install PACKAGE…: quietly, and without a server of the machine's own being made or started:
# PostgreSQL's package would create a cluster, Redis's would run on the standard port.
apt_install() (
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    cluster=/etc/postgresql-common/createcluster.d/aegis-dev.conf
    log=$(mktemp)
    undo=("$log")
    trap 'rm -f "${undo[@]}"' EXIT
    trap 'exit 130' INT TERM

    if [[ ! -e $policy ]]; then
        undo+=("$policy")
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    undo+=("$cluster")
    mkdir -p "${cluster%/*}"
    printf 'create_main_cluster = false\n' >"$cluster"

    options=(-q -y --no-install-recommends -o DPkg::Lock::Timeout=300)
    printf 'installing %s\n' "$*" >&2
    # An update that fails may still leave lists that are good enough.
    apt-get -q update </dev/null >"$log" 2>&1 || true
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
