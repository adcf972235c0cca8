# shellcheck shell=bash
# Redis from the system's binaries, with its data in .dev.

unset REDISCLI_AUTH

redis_installed() { have redis-server && have redis-cli; }

# Our process, by the id it tells, and done with loading its data.
redis_answers() {
    local answer
    answer=$(printf 'PING\nINFO server\n' |
        timeout 2 redis-cli -h 127.0.0.1 -p "${PORT[redis]}" 2>/dev/null | tr -d '\r') || return 1
    [[ $answer == PONG$'\n'*$'\n'process_id:"$(part_pid redis)"$'\n'* ]]
}

redis_start() {
    local data=$STATE/redis
    mkdir -p "$data" || return 1
    clear_leftovers redis
    # Kept over a restart by the append-only file, so that a restart is not a flush.
    launch redis redis-server --bind 127.0.0.1 --port "${PORT[redis]}" --dir "$data" \
        --appendonly yes --appendfsync everysec --save '' --daemonize no --pidfile ''
    await redis 30
}

# redis_stop fast|immediate|hard
redis_stop() {
    case $1 in
    hard) halt redis KILL 10 ;;
    *) halt redis TERM 15 ;;
    esac
    clear_leftovers redis
}

redis_erase() { rm -rf "$STATE/redis"; }
