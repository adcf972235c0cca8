# shellcheck shell=bash
# The same stack in containers, by docker-compose.yml, where a Docker engine can be reached.

docker_reachable() { have docker && timeout 5 docker info >/dev/null 2>&1 && docker_has_compose; }

docker_has_compose() { docker compose version >/dev/null 2>&1 || have docker-compose; }

compose() {
    local command=(docker compose)
    docker compose version >/dev/null 2>&1 || command=(docker-compose)
    COMPOSE_PROJECT_NAME=aegis-$CHECKOUT \
    AEGIS_DEV_PG_PORT=${PORT[postgres]:-} \
    AEGIS_DEV_REDIS_PORT=${PORT[redis]:-} \
    AEGIS_DEV_KAFKA_PORT=${PORT[kafka]:-} \
        "${command[@]}" -f "$ROOT/docker-compose.yml" "$@" 9>&-
}

docker_container() { compose ps -q "$1" 2>/dev/null | head -n 1; }

# docker_inspect PART TEMPLATE
docker_inspect() {
    local container
    container=$(docker_container "$1")
    [[ -n $container ]] && docker inspect -f "$2" "$container" 2>/dev/null
}

docker_pid() {
    local pid
    pid=$(docker_inspect "$1" '{{.State.Pid}}') || return 1
    [[ $pid =~ ^[1-9] ]] && printf '%s' "$pid"
}

docker_answers() { [[ $(docker_inspect "$1" '{{.State.Health.Status}}') == healthy ]]; }

# compose_logged ARGUMENT…: into the log, whose end is shown when it fails.
compose_logged() {
    compose "$@" </dev/null >>"$(log_of docker)" 2>&1 && return
    say "docker compose $* failed; the last lines of $(log_of docker):"
    last_words "$(log_of docker)"
    return 1
}

# docker_create PART…: in one call, since calls at the same time would each make the network.
docker_create() { compose_logged up -d --no-deps "$@"; }

docker_start() {
    docker_pid "$1" >/dev/null || docker_create "$1" || return 1
    if ! wait_until 120 docker_answers "$1"; then
        say "$1 is not healthy after two minutes; its last lines:"
        compose logs --tail 15 "$1" 2>&1 | sed 's/^/    /' >&2
        return 1
    fi
}

# docker_stop PART fast|immediate|hard
docker_stop() {
    case $2 in
    fast) compose_logged stop "$1" ;;
    immediate) compose_logged kill -s SIGQUIT "$1" && compose_logged stop "$1" ;;
    hard) compose_logged kill "$1" ;;
    esac
}
