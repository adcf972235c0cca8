//! What is refused, in which words.

use super::*;

#[test]
fn unknown_key_names_its_file_line_and_the_nearest_name() {
    assert_eq!(
        Directory::message("# a comment\nserver:\n  host: ::1\n  prot: 80\n"),
        "unknown key `server.prot` (default.yaml:4): the nearest known key is `server.port`; \
         correct it or take it out"
    );
}

#[test]
fn unknown_section_is_one_error_with_the_nearest_section() {
    assert_eq!(
        Directory::message("databse:\n  host: a\n  port: 1\n"),
        "unknown key `databse` (default.yaml:1): the nearest known key is `database`; \
         correct it or take it out"
    );
}

#[test]
fn a_variable_written_into_a_file_is_answered_with_its_key() {
    let message = Directory::message("DATABASE_HOST: db\n");
    assert!(
        message.contains("the nearest known key is `database.host`"),
        "{message}"
    );
}

#[test]
fn a_value_out_of_range_names_key_place_and_range() {
    assert_eq!(
        environment_message("SERVER_PORT", "80800"),
        "`server.port` is the integer 80800 (environment variable SERVER_PORT): \
         it takes an integer from 0 to 65535"
    );
    assert_eq!(
        Directory::message("database:\n  pool_connections_max: 1\n"),
        "`database.pool_connections_max` is the integer 1 (default.yaml:2): \
         it takes an integer from 2 to 500 (connections)"
    );
}

#[test]
fn a_word_that_is_no_choice_names_the_choices_and_the_nearest() {
    assert_eq!(
        environment_message("BUS", "kakfa"),
        "`bus` is \"kakfa\" (environment variable BUS): \
         it takes one of local, kafka; the nearest is `kafka`"
    );
    assert_eq!(
        environment_message("PRIMARY_ENV", "prod"),
        "`primary_env` is \"prod\" (environment variable PRIMARY_ENV): it takes one of \
         development, staging, production; the nearest is `production`"
    );
}

#[test]
fn a_file_keeps_types_apart() {
    for (text, message) in [
        ("server:\n  port: \"80\"\n", "is \"80\""),
        ("server:\n  port: 80.5\n", "is the number 80.5"),
        ("server:\n  port: true\n", "is the boolean true"),
        ("server:\n  port:\n", "is empty"),
        ("server:\n  port: [1]\n", "is a list"),
        ("server:\n  port: {a: 1}\n", "`server.port` is a section"),
        (
            "server: 80\n",
            "it takes keys below it, such as `server.host`",
        ),
        ("bus: !x kafka\n", "is a value with a tag"),
        (
            "database:\n  name: 7\n",
            "it takes a name without blanks; put it in quotes",
        ),
    ] {
        let got = Directory::message(text);
        assert!(got.contains(message), "{text}: {got}");
    }
}

#[test]
fn a_weaker_layers_bad_value_is_refused_though_a_stronger_one_overrides_it() {
    let directory = Directory::with(&[("default.yaml", "bus: kakfa\n")]);
    let mut sources = directory.sources();
    sources.environment = [("BUS", "kafka")].into_iter().collect();
    assert!(load(&sources).is_err());
}

#[test]
fn all_problems_are_told_at_once() {
    let error = load(&environment(&[
        ("SERVER_PORT", "x"),
        ("BUS", "x"),
        ("LOG_FORMAT", "x"),
    ]))
    .unwrap_err();
    assert_eq!(error.each().len(), 3);
    let message = error.to_string();
    assert!(
        message.starts_with("3 problems in the configuration:\n  `bus` is"),
        "{message}"
    );
}

#[test]
fn primary_env_cannot_be_set_in_a_file() {
    let message = Directory::message("primary_env: production\n");
    assert!(
        message.contains("set the environment variable PRIMARY_ENV"),
        "{message}"
    );
}

#[test]
fn one_file_sets_a_key_once() {
    assert_eq!(
        Directory::message("server.port: 1\nserver:\n  port: 2\n"),
        "`server.port` is set twice (default.yaml:1 and default.yaml:3): keep one of them"
    );
    let message = Directory::message("ledger: a\nledger: b\n");
    assert!(message.starts_with("default.yaml"), "{message}");
    assert!(
        message.contains("is not valid YAML: duplicate entry"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_not_yaml_is_named_with_the_line() {
    let message = Directory::message("server:\n  port: 1\n host: x\n");
    assert!(
        message.starts_with("default.yaml:3 is not valid YAML:"),
        "{message}"
    );
    let message = Directory::message("- a\n");
    assert!(message.contains("it is a list, not a mapping"), "{message}");
}

#[test]
fn no_secret_is_in_an_error() {
    for (variable, value) in [
        ("DATABASE_URL", "postgres://me:hunter2/x@db/aegis"),
        ("DATABASE_URL", "mysql://me:hunter2@db/aegis"),
        ("DATABASE_URL", "host=db password=hunter2"),
        ("DATABASE_HOST", "postgres://me:hunter2@db/aegis"),
        ("REDIS_ADDRESS", ":hunter2@cache:6379"),
        ("KAFKA_BROKERS", "me:hunter2@kafka:9092"),
    ] {
        let message = environment_message(variable, value);
        assert!(!message.contains("hunter2"), "{message}");
        assert!(message.contains(variable), "{message}");
    }
    let message = Directory::message("database:\n  password: 31337\n");
    assert!(!message.contains("31337"), "{message}");
}

#[test]
fn topics_and_their_dead_letters_have_names_of_their_own() {
    for (transactions, settlements) in [("a", "a"), ("a", "a.dlq"), ("a.dlq", "a")] {
        let both = [
            ("KAFKA_TOPIC_TRANSACTIONS", transactions),
            ("KAFKA_TOPIC_SETTLEMENTS", settlements),
        ];
        let error = load(&environment(&both)).unwrap_err();
        assert!(matches!(error, ConfigError::TopicTwice { .. }), "{error}");
    }
}

#[test]
fn an_unknown_key_of_a_flag_is_refused() {
    let mut sources = sources();
    sources.flags = vec![flag("--set", "server.prot", "1")];
    let message = load(&sources).unwrap_err().to_string();
    assert!(
        message.starts_with("unknown key `server.prot` (flag --set)"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_refused_rather_than_passed_over() {
    use std::os::unix::ffi::OsStringExt as _;
    let sources = Sources {
        environment: [("AEGIS_LEDGER", std::ffi::OsString::from_vec(vec![0xff]))]
            .into_iter()
            .collect(),
        ..sources()
    };
    assert_eq!(
        load(&sources).unwrap_err().to_string(),
        "`ledger` is not UTF-8 text (environment variable AEGIS_LEDGER): \
         it takes a name without blanks"
    );
}
