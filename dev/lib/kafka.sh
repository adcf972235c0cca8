# shellcheck shell=bash
# Apache Kafka from Maven Central: one node in KRaft mode, broker and controller in one process.

KAFKA_VERSION=$(sed -n 's:.*<kafka\.version>\(.*\)</kafka\.version>.*:\1:p' "$ROOT/dev/kafka/pom.xml")
KAFKA_DIR=$CACHE/kafka-$KAFKA_VERSION # shared over checkouts; has libs/ and logging/

# ---- getting it --------------------------------------------------------------------------------

kafka_fetched() { [[ -d $KAFKA_DIR/libs ]]; }

kafka_java_is_new_enough() {
    local major
    major=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    ((${major:-0} >= 17))
}

# kafka_missing: prints the packages that Kafka needs and the machine lacks.
kafka_missing() {
    have java || printf 'default-jre-headless\n'
    kafka_fetched || have mvn || printf 'maven\n'
}

# Notes why there is no Kafka here, for `status`.
kafka_give_up() {
    printf '%s\n' "$*" >"$STATE/run/kafka.unavailable"
    report kafka unavailable "$*; going on without, with BUS=local"
}

kafka_unavailable() { [[ -s $STATE/run/kafka.unavailable ]] && part_gone kafka; }

kafka_download() {
    mvn -q -B -f "$ROOT/dev/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1"
}

# Fails where Kafka cannot be had, and prints why.
kafka_fetch() {
    local missing work log=$STATE/log/kafka-fetch.log
    missing=$(kafka_missing | paste -sd ' ')
    if [[ -n $missing ]]; then
        printf 'install it with: %s' "$(install_command "$missing")"
        return 1
    fi
    if ! kafka_java_is_new_enough; then
        printf 'Kafka needs Java 17 or newer: %s' "$(install_command default-jre-headless)"
        return 1
    fi
    rm -f "$STATE/run/kafka.unavailable"
    kafka_fetched && return

    exec 7>"$CACHE/kafka.lock" # two checkouts may come here at once
    flock 7
    if ! kafka_fetched; then
        say "kafka: fetching Apache Kafka $KAFKA_VERSION into $KAFKA_DIR, once for all checkouts"
        work=$(mktemp -d "$CACHE/kafka.XXXXXX")
        if ! up_to_3_times kafka_download "$work/libs" </dev/null >"$log" 2>&1 7>&-; then
            rm -rf "$work"
            exec 7>&-
            printf 'Maven could not fetch it (see %s)' "$log"
            return 1
        fi
        mkdir "$work/logging"
        mv "$work"/libs/slf4j-simple-*.jar "$work/logging/"
        mv "$work" "$KAFKA_DIR"
    fi
    exec 7>&-
}

# ---- running it --------------------------------------------------------------------------------

kafka_configure() {
    cat >"$STATE/kafka/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${PORT[controller]}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${PORT[kafka]},CONTROLLER://127.0.0.1:${PORT[controller]}
advertised.listeners=PLAINTEXT://127.0.0.1:${PORT[kafka]}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$STATE/kafka/data

auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0

# After kill -9 the broker must wait for its former self's session to end; the default is 9 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# One node: nothing can be replicated, and few partitions of the internal topics start faster.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
EOF
}

kafka_cluster_id() {
    local id
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
    printf '%s' "${id/#-/A}" # a leading dash would be read as an option
}

kafka_format() {
    [[ ! -s $STATE/kafka/data/meta.properties ]] || return 0
    java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$KAFKA_DIR/libs/*" kafka.tools.StorageTool format \
        --ignore-formatted -t "$(kafka_cluster_id)" -c "$STATE/kafka/server.properties" \
        </dev/null >>"$(log_of kafka)" 2>&1
}

# The broker's class path: that of the tools, with a logger that speaks in place of the silent one.
kafka_class_path() {
    local jar path
    path=$(printf '%s:' "$KAFKA_DIR"/logging/*.jar)
    for jar in "$KAFKA_DIR"/libs/*.jar; do
        [[ $jar == */slf4j-nop-* ]] || path+=$jar:
    done
    printf '%s' "${path%:}"
}

kafka_start() {
    local data=$STATE/kafka
    mkdir -p "$data/data" || return 1
    clear_leftovers kafka
    kafka_configure || return 1
    if ! kafka_format; then
        say "kafka: formatting its storage failed; the last lines of $(log_of kafka):"
        last_words "$(log_of kafka)"
        return 1
    fi
    cd "$data" || return 1 # where clear_leftovers would look for it
    launch kafka java -Xmx512m -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
        -Dorg.slf4j.simpleLogger.logFile=System.out \
        -Dorg.slf4j.simpleLogger.showDateTime=true \
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS" \
        -cp "$(kafka_class_path)" kafka.Kafka "$data/server.properties"
    cd "$ROOT" || return 1
    await kafka 60
}

# Over the published port, so for the container too: its own tools take seconds a topic.
kafka_furnish() {
    wait_until 30 kafka_make_topics 2>/dev/null && return
    say "kafka: the topics could not be made: $(kafka_make_topics 2>&1)"
    return 1
}

# kafka_stop fast|immediate|hard
kafka_stop() {
    case $1 in
    hard) halt kafka KILL 10 ;;
    *) halt kafka TERM 30 ;;
    esac
    clear_leftovers kafka
}

kafka_erase() { rm -rf "$STATE/kafka" "$STATE/run/kafka.unavailable"; }

# ---- talking to it -----------------------------------------------------------------------------
#
# Each call of Kafka's tools starts a JVM, a second of processor time that `up` and `status` need not
# take for two small requests of its protocol: Metadata (3), which names its cluster, and CreateTopics (19).
# Numbers are big-endian, a string is its length in 16 bits and its bytes. Handled here as hex digits.

hex16() { printf '%04x' "$1"; }
hex32() { printf '%08x' "$1"; }
hex_of() { od -An -v -tx1 | tr -d ' \n'; }
hex_string() { printf '%04x' "${#1}" && printf '%s' "$1" | hex_of; }
bytes_of() {
    local i escaped=""
    for ((i = 0; i < ${#1}; i += 2)); do escaped+="\\x${1:i:2}"; done
    printf '%b' "$escaped"
}

# kafka_request KEY VERSION BODY: prints the body of the answer.
kafka_request() (
    request=$(hex16 "$1")$(hex16 "$2")00000001$(hex_string dev-stack)$3
    { exec 3<>"/dev/tcp/127.0.0.1/${PORT[kafka]}"; } 2>/dev/null || exit 1
    bytes_of "$(hex32 $((${#request} / 2)))$request" >&3 || exit 1
    size=$(timeout 15 head -c 4 <&3 | hex_of)
    [[ ${#size} == 8 ]] || exit 1
    answer=$(timeout 15 head -c $((16#$size)) <&3 | hex_of)
    printf '%s' "${answer:8}" # behind the correlation id
)

# Our broker, by the id of its cluster, and among those that it says can be used.
kafka_answers() {
    local answer id
    id=$(sed -n 's/^cluster\.id=//p' "$STATE/kafka/data/meta.properties" 2>/dev/null) || return 1
    answer=$(kafka_request 3 2 "$(hex32 0)") || return 1
    [[ -n $id && $answer == *"$(hex_string "$id")"* && ${answer:0:8} != "$(hex32 0)" ]]
}

# Version 2. Each topic is answered by name, error code, error message; 36 says that it was there.
kafka_make_topics() {
    local name partitions body="" count=0 answer at=16 length code
    while read -r name partitions; do
        [[ -n $name && $name != \#* ]] || continue
        body+=$(hex_string "$name")$(hex32 "$partitions")$(hex16 1)$(hex32 0)$(hex32 0)
        count=$((count + 1))
    done <"$ROOT/dev/kafka/topics"
    if ! answer=$(kafka_request 19 2 "$(hex32 $count)$body$(hex32 10000)00"); then
        say "no answer from 127.0.0.1:${PORT[kafka]}"
        return 1
    fi
    for (( ; count > 0; count--)); do
        length=$((16#${answer:at:4} * 2))
        name=$(bytes_of "${answer:at+4:length}")
        at=$((at + 4 + length))
        code=$((16#${answer:at:4}))
        length=$((16#${answer:at+4:4}))
        ((length < 65535)) || length=0 # no message
        at=$((at + 8 + length * 2))
        if ((code != 0 && code != 36)); then
            printf 'topic %s: error %d of the protocol' "$name" "$code"
            return 1
        fi
    done >&2
}
