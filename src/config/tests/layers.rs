//! Which layer wins, and what is shown of it.

use std::time::Duration;

use super::super::keys::KEYS;
use super::*;

#[test]
fn without_any_source_the_built_in_defaults_hold() {
    let loaded = load(&sources()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.settings.len(), KEYS.len());
    assert!(
        loaded
            .settings
            .iter()
            .all(|one| one.origin == Origin::BuiltIn)
    );
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_stronger_layer_wins_and_is_named_as_the_origin() {
    let directory = Directory::with(&[
        (
            "default.yaml",
            "ledger: a\nserver:\n  port: 1\n  host: ::1\ndatabase:\n  name: n\n",
        ),
        ("staging.yaml", "ledger: b\nserver:\n  port: 2\n"),
        ("production.yaml", "ledger: not-read\n"),
    ]);
    let mut sources = directory.sources();
    sources.environment = [
        ("PRIMARY_ENV", "staging"),
        ("AEGIS_LEDGER", "c"),
        ("SERVER_PORT", "3"),
    ]
    .into_iter()
    .collect();
    sources.flags = vec![flag("--ledger", "ledger", "d")];
    let loaded = load(&sources).unwrap();
    let origin = |key| {
        let origin = setting(&loaded, key).origin.to_string();
        origin.replace(&format!("{}/", directory.0.path().display()), "")
    };
    assert_eq!(loaded.config.ledger, "d");
    assert_eq!(origin("ledger"), "flag --ledger");
    assert_eq!(loaded.config.server.port, 3);
    assert_eq!(origin("server.port"), "environment variable SERVER_PORT");
    assert_eq!(loaded.config.server.host, "::1");
    assert_eq!(origin("server.host"), "default.yaml:4");
    assert_eq!(loaded.config.database.name, "n");
    assert_eq!(origin("relay.poll_ms"), "built-in default");
    assert_eq!(loaded.files.len(), 2);
}

#[test]
fn empty_means_none_where_none_is_possible_and_is_refused_elsewhere() {
    let empty = [
        ("REDIS_ADDRESS", ""),
        ("DATABASE_PASSWORD", ""),
        ("DATABASE_URL", ""),
    ];
    let config = load(&environment(&empty)).unwrap().config;
    assert_eq!(config.redis.address, None);
    assert_eq!(config.database.password, None);
    assert_eq!(config.database.url, None);
    assert_eq!(
        environment_message("DATABASE_HOST", ""),
        "`database.host` is empty (environment variable DATABASE_HOST): it takes a host name \
         or an IP address without port and brackets, or the directory of a Unix socket"
    );
    let directory = Directory::with(&[("default.yaml", "redis:\n  address:\n")]);
    assert_eq!(
        load(&directory.sources()).unwrap().config.redis.address,
        None
    );
}

#[test]
fn the_file_of_the_flag_stands_in_for_both_and_must_exist() {
    let directory = Directory::with(&[
        ("default.yaml", "bus: kafka\n"),
        ("own.yaml", "ledger: x\n"),
    ]);
    let only = |name: &str| Sources {
        files: Files::Only(directory.0.path().join(name)),
        ..sources()
    };
    let loaded = load(&only("own.yaml")).unwrap();
    assert_eq!(loaded.config.ledger, "x");
    assert_eq!(loaded.config.bus, BusKind::Local);
    let message = load(&only("missing.yaml")).unwrap_err().to_string();
    assert!(
        message.contains("cannot read the configuration file"),
        "{message}"
    );
    assert!(message.contains("missing.yaml: No such file"), "{message}");
}

#[test]
fn the_first_directory_with_one_of_our_files_is_read() {
    let foreign = Directory::with(&[("database.yml", "adapter: x\n")]);
    let installed = Directory::with(&[("production.yaml", "ledger: x\n")]);
    let missing = foreign.0.path().join("missing");
    let (foreign, installed) = (foreign.0.path(), installed.0.path());
    let found = Files::Directory(installed.to_owned());
    assert_eq!(
        Files::search(&[missing.as_path(), foreign, installed]),
        found
    );
    assert_eq!(Files::search(&[missing.as_path(), foreign]), Files::None);
    assert_eq!(
        Files::choose(Some("x.yaml".into())),
        Files::Only("x.yaml".into())
    );
}

#[test]
fn the_bus_is_kafka_outside_development_unless_it_is_said_otherwise() {
    for (primary_env, bus) in [
        ("development", BusKind::Local),
        ("staging", BusKind::Kafka),
        ("production", BusKind::Kafka),
    ] {
        let loaded = load(&environment(&[("PRIMARY_ENV", primary_env)])).unwrap();
        assert_eq!(loaded.config.bus, bus, "{primary_env}");
    }
    let both = [("PRIMARY_ENV", "production"), ("BUS", "local")];
    assert_eq!(
        load(&environment(&both)).unwrap().config.bus,
        BusKind::Local
    );
}

#[test]
fn logs_are_text_on_a_terminal_and_json_elsewhere_unless_it_is_said_otherwise() {
    let format = |logs_to_terminal, variables: &[(&str, &str)]| {
        let sources = Sources {
            logs_to_terminal,
            ..environment(variables)
        };
        load(&sources).unwrap().config.log.format
    };
    assert_eq!(format(true, &[]), LogFormat::Text);
    assert_eq!(format(false, &[]), LogFormat::Json);
    assert_eq!(format(true, &[("LOG_FORMAT", "json")]), LogFormat::Json);
}

#[test]
fn durations_are_milliseconds() {
    let config = load(&environment(&[("RELAY_POLL_MS", "250")]))
        .unwrap()
        .config;
    assert_eq!(config.relay.poll, Duration::from_millis(250));
}

#[test]
fn no_secret_is_in_what_is_shown() {
    let sources = environment(&[
        (
            "DATABASE_URL",
            "postgres://me:hunter2@db/aegis?sslkey=hunter2",
        ),
        ("DATABASE_PASSWORD", "hunter2"),
        ("PAYSTACK_SECRET_KEY", "hunter2"),
        ("REDIS_ADDRESS", "rediss://:hunter2@cache:6380"),
    ]);
    let loaded = load(&sources).unwrap();
    let json = serde_json::to_string(&loaded.settings).unwrap();
    for shown in [format!("{loaded:?}"), json, format!("{sources:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(
        loaded.config.redis.address.unwrap().expose(),
        "rediss://:hunter2@cache:6380"
    );
}

#[test]
fn a_part_set_nearer_than_the_url_that_stands_in_for_it_is_warned_about() {
    let directory = Directory::with(&[(
        "default.yaml",
        "database:\n  url: postgres://db/x\n  port: 1\n",
    )]);
    let mut sources = directory.sources();
    sources.environment = [("DATABASE_HOST", "other")].into_iter().collect();
    let loaded = load(&sources).unwrap();
    assert!(
        matches!(
            &loaded.warnings[..],
            [Warning::Overshadowed {
                key: "database.host",
                ..
            }]
        ),
        "{:?}",
        loaded.warnings
    );
    assert_eq!(
        setting(&loaded, "database.port").superseded_by,
        Some("database.url")
    );
    assert_eq!(setting(&loaded, "server.port").superseded_by, None);
}
