# The two commands: `make demo` runs the main job, `make test` runs every check. Both install what they need.

.PHONY: help build release demo test lint latency scale endurance bench microbench fuzz

help:
	@echo "make demo      watch a service with a hard-coded URL get real load balancing (KEEP=1 stays up)"
	@echo "make test      every check: format, lints, all tests, with a real Envoy and real clients"
	@echo "make latency   how long an edited endpoint takes to reach a real Envoy; cold start and memory"
	@echo "make scale     how long validate and plan take for 5,000 documents over 2,000 services, and their memory"
	@echo "make bench     ten thousand simulated sidecars, beside the floor; charts (RUNS=n, SCENARIOS='fan-out churn')"
	@echo "make microbench compile, diff, encode and merge on their own: times, and instructions counted"
	@echo "make endurance a real Envoy of 2,000 clusters through two minutes of rolling edits under load"
	@echo "make fuzz      random texts into the readers for 10 minutes (SECONDS=N for each of the two), then random"
	@echo "               conversations with the protocol for twice SECONDS; TARGETS=session for these alone"
	@echo "make release   build target/release/chancery"

build:
	cargo build --locked

release:
	cargo build --locked --release

demo: release
	@scripts/install-envoy > /dev/null
	@command -v curl > /dev/null || { apt-get update -qq && apt-get install -y -qq curl > /dev/null; }
	@CHANCERY=$(CURDIR)/target/release/chancery KEEP=$(KEEP) python3 scripts/demo

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

test: lint
	scripts/install-envoy > /dev/null
	scripts/install-clients
	cargo test --locked --lib --bins --tests

latency: release
	@scripts/install-envoy > /dev/null
	@CHANCERY=$(CURDIR)/target/release/chancery python3 scripts/latency

scale: release
	@CHANCERY=$(CURDIR)/target/release/chancery python3 scripts/scale

endurance:
	@scripts/install-envoy > /dev/null
	CHANCERY_LONG=1 cargo test --locked --test envoy_endurance -- --nocapture

fuzz:
	@scripts/fuzz $(or $(SECONDS),300) $(TARGETS)

bench:
	cargo build --locked --release --bin chancery --example fleet
	@scripts/bench $(SCENARIOS)

microbench:
	@scripts/microbench
