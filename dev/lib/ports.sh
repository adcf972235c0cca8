# shellcheck shell=bash
# Which port each part has. They are the checkout's own: kept in .dev/ports, apart from those of the
# other checkouts on this machine and from whatever else listens.
#
# The defaults are not the standard ports, and lie below the range from which the kernel takes the
# near end of outgoing connections (32768 and up): a client that calls a stopped server again and
# again could otherwise be given the server's own port, and connect to itself.

declare -A PORT=()
declare -A DEFAULT_PORT=(
    [postgres]=${AEGIS_DEV_PG_PORT:-25432}
    [redis]=${AEGIS_DEV_REDIS_PORT:-25379}
    [kafka]=${AEGIS_DEV_KAFKA_PORT:-25092}
    [controller]=${AEGIS_DEV_KAFKA_CONTROLLER_PORT:-25093}
)
declare -A PORT_OVERRIDE=(
    [postgres]=${AEGIS_DEV_PG_PORT:-}
    [redis]=${AEGIS_DEV_REDIS_PORT:-}
    [kafka]=${AEGIS_DEV_KAFKA_PORT:-}
    [controller]=${AEGIS_DEV_KAFKA_CONTROLLER_PORT:-}
)

load_ports() {
    local name port
    [[ -f $STATE/ports ]] || return 0
    while IFS='=' read -r name port; do
        [[ ! $port =~ ^[0-9]+$ ]] || PORT[$name]=$port
    done <"$STATE/ports"
}

save_ports() {
    local name
    for name in postgres redis kafka controller; do
        printf '%s=%s\n' "$name" "${PORT[$name]}"
    done >"$STATE/ports.new"
    mv "$STATE/ports.new" "$STATE/ports"
}

# Looks into the kernel's table rather than connecting: a stranger's server is left in peace.
port_listens() {
    local hex
    hex=$(printf ':%04X' "$1")
    # Without IPv6 there is no tcp6, for which awk would give up.
    { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; } |
        awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 }
            END { exit !found }'
}

# The ports of the other checkouts, whether their stacks are up or not.
claimed_ports() {
    local checkout
    [[ -f $CACHE/checkouts ]] || return 0
    while read -r checkout; do
        [[ $checkout == "$STATE" || ! -r $checkout/ports ]] || cut -d= -f2 "$checkout/ports"
    done <"$CACHE/checkouts"
}

claim_checkout() {
    touch "$CACHE/checkouts"
    grep -qxF "$STATE" "$CACHE/checkouts" || printf '%s\n' "$STATE" >>"$CACHE/checkouts"
}

# choose_ports RUNNING…: keeps the ports of the parts that run, and finds a free one for each other.
choose_ports() {
    local name port wanted claimed used=" "
    local -A keep=()
    for name in "$@"; do keep[$name]=1; done
    [[ -z ${keep[kafka]:-} ]] || keep[controller]=1

    exec 8>"$CACHE/ports.lock"
    flock --wait 60 8 || die "another checkout has held $CACHE/ports.lock for a minute"
    claimed=" $(claimed_ports | tr '\n' ' ')"
    for name in postgres redis kafka controller; do
        if [[ -n ${keep[$name]:-} ]]; then
            used+="${PORT[$name]} "
            continue
        fi
        wanted=${PORT_OVERRIDE[$name]:-${PORT[$name]:-${DEFAULT_PORT[$name]}}}
        [[ $wanted =~ ^[1-9][0-9]{0,4}$ ]] || die "$wanted is no port for $name"
        port=$wanted
        while [[ $claimed == *" $port "* || $used == *" $port "* ]] || port_listens "$port"; do
            port=$((port + 10))
            ((port <= 65535)) || die "no free port for $name from $wanted on"
        done
        if ((port != wanted)); then say "$name: port $wanted is taken, using $port"; fi
        PORT[$name]=$port
        used+="$port "
    done
    save_ports
    claim_checkout
    exec 8>&-
}
