//! The Dockerfile and the Kubernetes manifests, as far as they can be held to anything without running
//! them.

use std::collections::BTreeSet;

use serde_yaml::Value;

use crate::pages::root;

/// Every document of every manifest, with its file's name.
fn manifests() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("packaging/kubernetes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            text.starts_with("# Not run here."),
            "{name} does not say so"
        );
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = serde::Deserialize::deserialize(document);
            found.push((name.clone(), document.expect(&name)));
        }
    }
    assert!(found.len() >= 8, "{found:?}");
    found
}

fn kind<'a>(manifests: &'a [(String, Value)], kind: &str) -> Vec<&'a Value> {
    let all = manifests.iter().map(|(_, document)| document);
    all.filter(|document| document["kind"] == kind).collect()
}

/// The pod that a workload makes.
fn pod(document: &Value) -> Option<&Value> {
    match document["kind"].as_str()? {
        "Deployment" | "Job" => Some(&document["spec"]["template"]),
        "CronJob" => Some(&document["spec"]["jobTemplate"]["spec"]["template"]),
        _ => None,
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}

#[test]
fn no_container_is_privileged_and_each_image_has_a_version() {
    for (file, document) in manifests() {
        let Some(pod) = pod(&document) else { continue };
        let spec = &pod["spec"];
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{file}");
        assert_eq!(spec["automountServiceAccountToken"], false, "{file}");
        assert!(list(&spec["containers"]).count() > 0, "{file}");
        for container in list(&spec["containers"]) {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{file}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{file}");
            assert_eq!(security["capabilities"]["drop"][0], "ALL", "{file}");
            assert!(
                !container["resources"]["limits"]["memory"].is_null(),
                "{file}"
            );
            let (_, version) = container["image"]
                .as_str()
                .unwrap()
                .rsplit_once(':')
                .unwrap();
            assert!(
                version != "latest" && version.contains('.'),
                "{file}: {version}"
            );
        }
    }
}

#[test]
fn the_daemon_has_its_probes_two_replicas_and_one_that_stays() {
    let manifests = manifests();
    let deployment = kind(&manifests, "Deployment")[0];
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert!(deployment["spec"]["replicas"].as_u64().unwrap() >= 2);
    let daemon = &deployment["spec"]["template"]["spec"]["containers"][0];
    for (probe, path) in [
        ("startupProbe", "/startupz"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ] {
        let command = serde_yaml::to_string(&daemon[probe]["exec"]["command"]).unwrap();
        assert!(command.contains(path), "{probe}: {command}");
    }
    for of in ["Service", "PodDisruptionBudget"] {
        let spec = &kind(&manifests, of)[0]["spec"];
        let selector = match of {
            "Service" => &spec["selector"],
            _ => &spec["selector"]["matchLabels"],
        };
        assert_eq!(selector, labels, "{of} selects other pods");
    }
    assert_eq!(
        kind(&manifests, "PodDisruptionBudget")[0]["spec"]["minAvailable"],
        1
    );
}

/// The default of a setting.
fn default_of(key: &str) -> String {
    let all = aegis::config::reference();
    let found = all.into_iter().find(|setting| setting.key == key);
    found.expect(key).default
}

#[test]
fn all_ask_aegisd_where_it_listens() {
    let address = format!(
        "{}:{}",
        default_of("server.host"),
        default_of("server.port")
    );
    let shipped = [
        ("Dockerfile", 1),
        ("packaging/kubernetes/aegisd.yaml", 3),
        ("packaging/kubernetes/config.yaml", 2),
        ("packaging/systemd/aegisd.socket", 1),
    ];
    for (file, times) in shipped {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(text.matches(&address).count(), times, "{file}: {address}");
        assert_eq!(text.matches("127.0.0.1:").count(), times, "{file}");
    }
}

#[test]
fn the_service_reaches_the_proxy_and_the_pod_may_take_its_time_to_stop() {
    let manifests = manifests();
    let pod = &kind(&manifests, "Deployment")[0]["spec"]["template"]["spec"];
    let names: Vec<&Value> = list(&pod["containers"])
        .flat_map(|container| list(&container["ports"]))
        .map(|port| &port["name"])
        .collect();
    for port in list(&kind(&manifests, "Service")[0]["spec"]["ports"]) {
        assert!(names.contains(&&port["targetPort"]), "{port:?}");
    }
    let deadline_ms: u64 = default_of("server.shutdown_deadline_ms").parse().unwrap();
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(
        grace * 1_000 > deadline_ms,
        "{grace} s for {deadline_ms} ms"
    );
}

#[test]
fn the_images_are_of_this_version() {
    let wanted = format!("/aegis:{}", env!("CARGO_PKG_VERSION"));
    let mut seen = 0;
    for (file, document) in manifests() {
        let Some(pod) = pod(&document) else { continue };
        for container in list(&pod["spec"]["containers"]) {
            let image = container["image"].as_str().unwrap();
            if image.contains("aegis") {
                assert!(image.ends_with(&wanted), "{file}: {image}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn all_settings_of_the_manifests_are_ones_that_there_are() {
    let known: BTreeSet<&str> = aegis::config::reference()
        .iter()
        .map(|key| key.variable)
        .collect();
    let manifests = manifests();
    let mut seen = 0;
    for document in kind(&manifests, "ConfigMap")
        .into_iter()
        .chain(kind(&manifests, "Secret"))
    {
        if document["metadata"]["name"] != "aegis" {
            continue;
        }
        for map in [&document["data"], &document["stringData"]] {
            for (name, _) in map.as_mapping().into_iter().flatten() {
                let name = name.as_str().unwrap();
                assert!(known.contains(name), "nothing reads {name}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 5);
}

#[test]
fn every_command_of_a_job_is_one_that_there_is() {
    let mut seen = 0;
    for (file, document) in manifests() {
        if document["kind"] != "Job" && document["kind"] != "CronJob" {
            continue;
        }
        let container = &pod(&document).unwrap()["spec"]["containers"][0];
        let words = list(&container["command"]).chain(list(&container["args"]));
        let words: Vec<&str> = words.map(|word| word.as_str().unwrap()).collect();
        let line = words.join(" ");
        let (_, arguments) = line.split_once("aegisctl ").expect(&file);
        let arguments = arguments
            .replace("\"$(date -u +%F)", "2026-11-26")
            .replace('"', "");
        let words = ["aegisctl"].into_iter().chain(arguments.split_whitespace());
        if let Err(error) = aegis::cli::command_line().try_get_matches_from(words) {
            panic!("{file}: {error}");
        }
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_image_is_of_named_versions_runs_as_nobody_and_asks_after_its_health() {
    let text = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let bases = text.lines().filter_map(|line| line.strip_prefix("FROM "));
    for base in bases {
        let version = base.split_whitespace().next().unwrap().split_once(':');
        let (_, version) = version.unwrap_or_else(|| panic!("{base} has no version"));
        assert!(version.contains('.'), "{base}");
    }
    let user = text
        .lines()
        .rfind(|line| line.starts_with("USER "))
        .unwrap();
    assert_eq!(user, "USER 10001:10001");
    assert!(text.contains("\nHEALTHCHECK "));
    let toolchain = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let version = toolchain.split('"').nth(1).unwrap();
    assert!(
        text.contains(&format!("FROM rust:{version}-")),
        "another Rust than {version}"
    );
    // What the build reads goes in.
    let ignore = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "src",
        "migrations",
        "config",
    ] {
        assert!(
            ignore.lines().any(|line| line == format!("!{needed}")),
            "{needed}"
        );
    }
}
