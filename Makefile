# What there is to do. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak fuzz

# In CI the lock file is taken as it is, and every failing test is told.
ifdef CI
LOCKED := --locked
PROFILE := --profile ci
endif
TARGET := $(or $(CARGO_TARGET_DIR),target)

help: ## list what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run a server with a sample network and print what to try
	cargo build $(LOCKED) --release -p crumb
	if country_file=$$(scripts/country-file); then export CRUMB_TRACKING__COUNTRY_FILE=$$country_file; fi; \
	exec $(TARGET)/release/crumb demo $(DEMO_ARGS)

test: ## run everything that CI runs, installing what is missing
	scripts/setup test
	$(MAKE) --no-print-directory check
	cargo build $(LOCKED) --workspace --all-targets
	scripts/with-postgres cargo nextest run $(LOCKED) --workspace $(PROFILE) $(TEST_ARGS)
	cargo test $(LOCKED) --workspace --doc

check: ## check formatting, lints and documentation
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc $(LOCKED) --workspace --no-deps

soak: ## kill a few thousand times, repeat a million calls, simulate for long (KILL_ROUNDS, DELIVERY_KILLS, RETRIES, SIMULATION_STEPS; …_SEED repeats a failure)
	scripts/setup test
	cargo build $(LOCKED) -p crumb
	KILL_ROUNDS=$${KILL_ROUNDS:-3000} DELIVERY_KILLS=$${DELIVERY_KILLS:-1000} RETRIES=$${RETRIES:-1000000} SIMULATION_STEPS=$${SIMULATION_STEPS:-50000} \
	scripts/with-postgres cargo nextest run $(LOCKED) --profile soak -p e2e -p crumb --test kill --test deliveries --test retries --test simulation

fuzz: ## make up what strangers send and disks return (FUZZ_SECONDS=30 each; FUZZ_TARGETS="dates segment")
	scripts/fuzz $(FUZZ_TARGETS)

bench: ## measure, beside nginx and PostgreSQL (BENCH_ARGS="--help" says what can be set)
	scripts/setup bench
	cargo build $(LOCKED) --release -p crumb -p bench
	DURABLE=1 scripts/with-postgres bash -c \
	'exec $(TARGET)/release/bench --crumb $(TARGET)/release/crumb --database "$$TEST_POSTGRES_URL" $(BENCH_ARGS)'
