# shellcheck shell=bash
# PostgreSQL from the system's binaries, in a cluster of this checkout's own.

unset "${!PG@}" # the caller's PGHOST, PGDATA and the like are about another server

POSTGRES_USER=postgres # runs the server when we are root, which PostgreSQL refuses to be
POSTGRES_OUTSIDE=/var/lib/aegis-dev/$CHECKOUT/postgres # where that user may not enter .dev

# Runs a command as the server's user.
as_postgres() {
    if is_root; then
        setpriv --reuid="$POSTGRES_USER" --regid="$POSTGRES_USER" --init-groups -- "$@"
    else
        "$@"
    fi
}

# The newest installed version, or the one that the data was made by.
postgres_bin() {
    local data=${1:-} version=""
    [[ -z $data || ! -s $data/PG_VERSION ]] || version=$(<"$data/PG_VERSION")
    find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path "*/${version:-*}/bin/initdb" 2>/dev/null |
        sort -V | tail -n 1 | sed 's:/initdb$::'
}

postgres_installed() { [[ -n $(postgres_bin) ]]; }

# Where the cluster lies: in .dev, or where postgres_place put it.
postgres_data() {
    if [[ -s $STATE/postgres.place ]]; then
        printf '%s' "$(<"$STATE/postgres.place")"
    else
        printf '%s' "$STATE/postgres"
    fi
}

# Chooses the place outside .dev where it must, as beneath root's home.
postgres_place() {
    if [[ -s $STATE/postgres.place ]] || ! is_root || as_postgres test -x "$STATE"; then return; fi
    say "postgres: user $POSTGRES_USER may not enter $STATE, its data goes to $POSTGRES_OUTSIDE"
    printf '%s\n' "$POSTGRES_OUTSIDE" >"$STATE/postgres.place"
}

postgres_init() {
    local data=$1 bin=$2 new=$1.new password
    rm -rf "$new"
    (umask 022 && mkdir -p "${data%/*}" && mkdir -m 700 "$new") || return 1
    ! is_root || chown "$POSTGRES_USER:" "$new"
    password=$(mktemp)
    printf 'aegis\n' >"$password"
    ! is_root || chown "$POSTGRES_USER:" "$password"
    # The server itself syncs all it does; only this making of an empty cluster goes without, since
    # it would simply be made again.
    if ! as_postgres "$bin/initdb" -D "$new" -U aegis --pwfile="$password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums --no-sync --no-instructions \
        </dev/null >>"$(log_of postgres)" 2>&1; then
        rm -f "$password"
        say "postgres: making its cluster failed; the last lines of $(log_of postgres):"
        last_words "$(log_of postgres)"
        return 1
    fi
    rm -f "$password"
    mv "$new" "$data"
}

# Written anew at each start; ALTER SYSTEM still has the last word (postgresql.auto.conf).
postgres_configure() {
    local data=$1
    cat >"$data/postgresql.conf" <<EOF
listen_addresses = '127.0.0.1'
port = ${PORT[postgres]}
unix_socket_directories = ''
max_connections = 300

shared_buffers = 256MB
effective_cache_size = 1GB
maintenance_work_mem = 128MB
random_page_cost = 1.1

# As durable as in production: what the tests prove about crashes must be true.
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = 4GB
min_wal_size = 512MB
checkpoint_timeout = 15min

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_lock_waits = on
cluster_name = 'aegis-dev'
EOF
}

# Our process, which notes in its folder when it has the port, and takes connections.
postgres_answers() {
    local data
    local -a lock=()
    data=$(postgres_data)
    { mapfile -t lock <"$data/postmaster.pid"; } 2>/dev/null || return 1
    [[ ${lock[0]:-} == "$(part_pid postgres)" && ${lock[7]:-} == ready* ]] || return 1
    "$(postgres_bin "$data")/pg_isready" -q -t 1 -h 127.0.0.1 -p "${PORT[postgres]}"
}

postgres_sql() {
    local psql=("$(postgres_bin "$(postgres_data)")/psql" -p "${PORT[postgres]}")
    # The container's own psql: the machine may have none.
    [[ $MODE != docker ]] || psql=(compose exec -T -e PGPASSWORD=aegis postgres psql)
    PGPASSWORD=aegis "${psql[@]}" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -U aegis -d postgres \
        -c "$1" </dev/null
}

postgres_make_database() {
    local there
    there=$(postgres_sql "SELECT 1 FROM pg_database WHERE datname = 'aegis'") || return 1
    [[ -n $there ]] || postgres_sql 'CREATE DATABASE aegis'
}

postgres_start() {
    local data bin
    postgres_place
    data=$(postgres_data)
    bin=$(postgres_bin "$data")
    if [[ -z $bin ]]; then
        say "postgres: the data in $data is of PostgreSQL $(<"$data/PG_VERSION"), which is not installed;"
        say "    install that version, or start over with: dev/stack reset"
        return 1
    fi
    clear_leftovers postgres
    [[ -s $data/PG_VERSION ]] || postgres_init "$data" "$bin" || return 1
    rm -f "$data/postmaster.pid" # no process works here any more, whatever the file says
    postgres_configure "$data" || return 1
    if is_root; then
        launch postgres setpriv --reuid="$POSTGRES_USER" --regid="$POSTGRES_USER" --init-groups -- \
            "$bin/postgres" -D "$data"
    else
        launch postgres "$bin/postgres" -D "$data"
    fi
    await postgres 60
}

# postgres_stop fast|immediate|hard
postgres_stop() {
    case $1 in
    fast) halt postgres INT 30 ;;
    immediate) halt postgres QUIT 10 ;;
    hard) halt postgres KILL 10 ;;
    esac
    clear_leftovers postgres
}

postgres_erase() {
    rm -rf "$STATE"/postgres{,.new,.place}
    [[ -d ${POSTGRES_OUTSIDE%/*} ]] || return 0
    rm -rf "${POSTGRES_OUTSIDE%/*}"
    rmdir --ignore-fail-on-non-empty "${POSTGRES_OUTSIDE%/*/*}"
}
