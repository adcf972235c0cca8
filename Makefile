# Everything runs on the parts that dev/stack starts: PostgreSQL, Redis and Kafka of this checkout.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# rustup's own place, which a shell that has not been opened anew since does not search.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

STACK = dev/stack up && env=$$(dev/stack env) && eval "$$env"

.PHONY: help up down prerequisites migrate-up run demo test test-faults test-money soak lint bench docs install deb clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## start PostgreSQL, Redis and Kafka
	dev/stack up

down: ## stop them; their data stays
	dev/stack down

prerequisites:
	@dev/prerequisites

migrate-up: prerequisites ## bring the database to the program's schema
	$(STACK) && cargo run --quiet --locked --bin aegisctl -- migrate up

run: prerequisites ## run aegisd until Ctrl-C
	$(STACK) && cargo run --quiet --locked --bin aegisctl -- migrate up && cargo run --quiet --locked --bin aegisd

demo: prerequisites ## a day of a marketplace, then a payday through a PSP that fails: both proven
	$(STACK) && cargo build --release --locked --bins --example marketplace --example payday && \
	  target/release/examples/marketplace && target/release/examples/payday

test: prerequisites ## all tests, on the same real parts
	dev/stack tools && $(STACK) && cargo test --locked --doc && cargo test --locked --no-fail-fast --lib --bins --tests

test-faults: prerequisites ## every fault in full; AEGIS_FAULTS_SEED=N repeats a run's choices
	dev/stack tools && $(STACK) && export AEGIS_FAULTS=$${AEGIS_FAULTS:-long} && \
	  cargo test --locked --test faults --test bus_kafka_outage --test consumer --test idempotency \
	    --test locks --test dlq -- --nocapture

test-money: prerequisites ## every cent of 100,000 payments; AEGIS_MONEY_SEED=N repeats a run's choices
	$(STACK) && export AEGIS_MONEY_PAYMENTS=$${AEGIS_MONEY_PAYMENTS:-100000} && \
	  cargo test --release --locked --test money -- --nocapture

soak: prerequisites ## AEGIS_SOAK_MINUTES=20 of mixed load with faults; AEGIS_SOAK_SEED=N repeats its choices
	dev/stack tools && $(STACK) && export AEGIS_SOAK_MINUTES=$${AEGIS_SOAK_MINUTES:-20} && \
	  cargo test --release --locked --test soak -- --nocapture

lint: prerequisites ## formatting, clippy and rustdoc, warnings as errors
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

bench: prerequisites ## figures of this machine, each beside its floor
	$(STACK) && cargo build --release --locked --bins && \
	  for bench in post api daemons relay verify telemetry; do target/release/aegisctl bench $$bench; done

docs: prerequisites ## write the references of docs/ anew, from the code
	$(STACK) && AEGIS_DOCS=write cargo test --locked --test docs reference

PREFIX ?= /usr
SYSTEMD ?= /usr/lib

install: ## what was built for release, with units and settings, below DESTDIR
	packaging/install "$(DESTDIR)" "$(PREFIX)" "$(SYSTEMD)"

deb: prerequisites ## a Debian package in target/debian; needs cargo-deb (cargo install --locked cargo-deb)
	cargo build --release --locked --bins
	rm -rf target/deb-root
	packaging/install target/deb-root
	strip --strip-unneeded target/deb-root/usr/bin/*
	cargo deb --locked --no-build --no-strip

clean: ## stop the parts, remove their data and what was built
	dev/stack erase --yes
	rm -rf .dev target
