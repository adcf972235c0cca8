# shellcheck shell=bash
# Ground under dev/stack: messages, time, this checkout's state folder, processes.

export LC_ALL=C.UTF-8

ROOT=$(cd -- "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
STATE=$ROOT/.dev
# shellcheck disable=SC2034 # read by the files that source this one
CHECKOUT=$(printf '%s' "$ROOT" | sha256sum | cut -c1-12) # tells it from the machine's other ones
CACHE=${XDG_CACHE_HOME:-~/.cache}/aegis
# shellcheck disable=SC2034 # read by the files that source this one
PARTS=(postgres redis kafka)
declare -A SERVER=([postgres]=postgres [redis]=redis-server [kafka]=java) # the processes' names

# ---- messages ----------------------------------------------------------------------------------

say() { printf '%s\n' "$*" >&2; }

die() {
    printf 'dev/stack: %s\n' "$*" >&2
    exit 1
}

# last_words FILE [LINES]: the end of a log, below the message that says what it is about.
last_words() { tail -n "${2:-15}" "$1" | sed 's/^/    /' >&2; }

# report PART WORD DETAIL [STARTED_MS]: the one line that a part gets, with the time it took.
report() {
    local line took=""
    [[ -z ${4:-} ]] || took=$(seconds_since "$4")
    printf -v line '%-10s %-12s %-18s %s' "$1" "$2" "$3" "$took"
    say "${line%"${line##*[! ]}"}"
}

# ---- time --------------------------------------------------------------------------------------

now_ms() {
    local microseconds=${EPOCHREALTIME/./}
    printf '%s' $((microseconds / 1000))
}

seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# wait_until SECONDS COMMAND…: probes ten times a second; fails once the time is over.
wait_until() {
    local deadline=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < deadline)) || return 1
        sleep 0.1
    done
}

# ---- this checkout's state ---------------------------------------------------------------------

make_state() {
    # Readable by all: PostgreSQL runs as another user when we are root.
    (umask 022 && mkdir -p "$STATE" "$STATE/run" "$STATE/log" "$CACHE")
}

# What lies in .dev names the servers, ports and places of the checkout it was made in. Copied along
# with one, it must not be taken for the copy's own: `down` would stop the original's servers.
state_is_copied() { [[ -s $STATE/checkout && $(<"$STATE/checkout") != "$ROOT" ]]; }

own_state() {
    if state_is_copied; then
        say ".dev was copied from $(<"$STATE/checkout"): the data is kept, ports are chosen anew;"
        say "    if servers wrote to it meanwhile, it may be torn; start over with: dev/stack reset"
        rm -f "$STATE"/{ports,mode,postgres.place} "$STATE"/run/*
    fi
    printf '%s\n' "$ROOT" >"$STATE/checkout"
}

# One dev/stack at a time changes a checkout's stack. The kernel frees the lock however we end.
take_lock() {
    make_state
    exec 9>"$STATE/lock"
    if ! flock --nonblock 9; then
        say "another dev/stack is at work in this checkout, waiting for it"
        flock --wait 600 9 || die "the other dev/stack has not ended in ten minutes"
    fi
    own_state
}

# ---- processes ---------------------------------------------------------------------------------

is_root() { [[ $(id -u) == 0 ]]; }

is_part() {
    local part
    for part in "${PARTS[@]}"; do [[ $part != "$1" ]] || return 0; done
    return 1
}

# data_of PART: its folder, in which its server works.
data_of() { if [[ $1 == postgres ]]; then postgres_data; else printf '%s' "$STATE/$1"; fi; }

log_of() { printf '%s' "$STATE/log/$1.log"; }

# identity PID: what tells this process from any other that had or will have its number, even after
# the machine's restart. Nothing for a process that is gone or only waits to be reaped.
identity() {
    local boot stat
    [[ $1 =~ ^[0-9]+$ ]] || return 1
    read -r boot </proc/sys/kernel/random/boot_id
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != [ZX] ]] || return 1
    printf '%s %s' "${stat[19]}" "$boot"
}

# part_pid PART: prints the part's process id while it lives, fails otherwise. A pid file that a
# crash left behind names a process that is gone, or another one, and counts for nothing.
part_pid() {
    local pid known
    { read -r pid known <"$STATE/run/$1.pid"; } 2>/dev/null || return 1
    [[ -n $known && $(identity "$pid") == "$known" ]] || return 1
    printf '%s' "$pid"
}

part_gone() { ! part_pid "$1" >/dev/null; }

# launch PART COMMAND…: starts a server that outlives us and holds none of our files open: neither
# the caller's pipes nor our lock.
launch() {
    local part=$1 log pid
    log=$(log_of "$part")
    shift
    [[ ! -f $log || $(stat -c %s "$log") -lt 16777216 ]] || mv "$log" "$log.old"
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd <= 2 || fd == 255)) || eval "exec $fd>&-"
        done
        exec setsid "$@"
    ) </dev/null >>"$log" 2>&1 &
    pid=$!
    printf '%s %s\n' "$pid" "$(identity "$pid")" >"$STATE/run/$part.pid"
}

# leftovers PART: server processes that work in the part's folder, even one that was removed under
# them: PostgreSQL's children after its own end, or servers whose pid file is lost.
leftovers() {
    local cwd pid data
    data=$(data_of "$1")
    while read -r cwd; do
        pid=${cwd#/proc/}
        pid=${pid%/cwd}
        { [[ $(<"/proc/$pid/comm") != "${SERVER[$1]}" ]] || printf '%s\n' "$pid"; } 2>/dev/null
    done < <(find /proc/[0-9]* -maxdepth 1 -name cwd \
        \( -lname "$data" -o -lname "$data (deleted)" \) 2>/dev/null)
}

none_left() { [[ -z $(leftovers "$1") ]]; }

# clear_leftovers PART: ends them, so that a new server finds its folder and its port free.
clear_leftovers() {
    none_left "$1" && return
    leftovers "$1" | xargs -r kill -KILL 2>/dev/null || true
    wait_until 10 none_left "$1" || die "$1: processes in $(data_of "$1") do not end"
}

# ours_answers PART: it answers, and is no stranger that took the port before our server could.
ours_answers() { ! part_gone "$1" && "${1}_answers" && ! part_gone "$1"; }

# await PART SECONDS: until the part answers; shows its last words if it ends or stays mute.
await() {
    local part=$1 deadline=$(($(now_ms) + $2 * 1000))
    until ours_answers "$part"; do
        if part_gone "$part"; then
            say "$part ended at its start; the last lines of $(log_of "$part"):"
        elif (($(now_ms) >= deadline)); then
            say "$part does not answer after $2 s; the last lines of $(log_of "$part"):"
        else
            sleep 0.1
            continue
        fi
        last_words "$(log_of "$part")"
        return 1
    done
}

# halt PART SIGNAL SECONDS: asks, waits, insists.
halt() {
    local part=$1 pid
    if pid=$(part_pid "$part"); then
        kill -"$2" "$pid" 2>/dev/null || true
        if ! wait_until "$3" part_gone "$part"; then
            say "$part did not end in $3 s: killed"
            kill -KILL "$pid" 2>/dev/null || true
            wait_until 10 part_gone "$part" || die "$part (process $pid) cannot be ended"
        fi
    fi
    rm -f "$STATE/run/$part.pid"
}
