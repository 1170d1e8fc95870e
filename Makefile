# All build and test commands. `make help` lists them.

CARGO ?= cargo

.PHONY: help demo test test-offline features compat parity parity-ceph servers torture torture-ceph torture-state crash-states model simulate bench scale coverage-test readers-test tools-test singer-test alternatives-test distributed-test recipes-test deploy-test docs lint lint-workflows supply-chain audit json-suite fuzz dist wheel python-test bench-python docs-test docs-site docs-serve ci

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Build the program and run its demo in ./rawsink-demo
	$(CARGO) build --release --package rawsink-cli
	target/release/rawsink demo --dir rawsink-demo

test: ## Run all tests; needs no network
	$(CARGO) test --workspace --lib --bins --tests
	$(CARGO) test --workspace --doc

test-offline: ## Run all tests without a network, not even loopback
	$(CARGO) test --workspace --lib --bins --tests --no-run
	scripts/without-network $(MAKE) test CARGO="$(CARGO) --offline"

compat: ## Check compatibility with the released program in both directions; RELEASED=revision selects another
	scripts/compat $(COMPAT)

features: ## Check every feature of the library alone; test it without features and with the default ones
	scripts/features

parity: ## Run the tests against a real object storage server and PostgreSQL; starts both on loopback unless configured
	scripts/parity

parity-ceph: ## Run the same tests against a Ceph object gateway on loopback; installs missing Debian packages
	scripts/with-ceph scripts/parity

servers: ## Try the program on many S3 servers and write docs/servers.md; installs them, takes two hours
	scripts/servers $(SERVERS)

torture: ## Kill, pause and race writers and repairs on MinIO for five minutes, then check every partition without the library
	scripts/with-minio scripts/torture $(TORTURE)

torture-ceph: ## Run the same on a Ceph object gateway, with garbage collection before the check
	scripts/with-ceph scripts/torture --grace 10 --seal-deadline 4 --seal-timeout 3 \
		--before-check 'radosgw-admin gc process --include-all' $(TORTURE)

torture-state: ## Kill validators and repairs at random beside operators, on SQLite and PostgreSQL; then check state and files without the library
	scripts/torture-state $(TORTURE)

crash-states: ## Read every state that a directory may have after a power failure, for landings, repairs and clean-ups
	scripts/crash-states $(CRASH)

model: ## Explore every interleaving of writers and write docs/proof.md; takes minutes
	$(CARGO) run --package rawsink-proof --bin model -- --page docs/proof.md

simulate: ## Simulate the real code over SEEDS seeds (10,000); SEED=n replays one, line by line
	$(CARGO) run --quiet --package rawsink-proof --bin simulate -- \
		$(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),10000)) \
		$(if $(UNBOUNDED),--unbounded) $(if $(LIE),--lie $(LIE))

bench: ## Measure CPU, memory and requests against floors; starts a MinIO unless a server is configured
	scripts/with-minio $(CARGO) bench --package rawsink-cli --bench throughput

scale: ## Measure the operator's commands over 100,000 small partitions; SCALE="--partitions N" selects another number
	scripts/scale $(SCALE)

coverage-test: ## Test the coverage page in headless Chromium; needs Node.js, npm and chromium, takes a minute
	scripts/coverage-test $(if $(KEEP),--keep)

readers-test: ## Test that DuckDB, Polars, PyArrow and Spark open exactly the payloads of a manifest; installs them
	scripts/with-minio scripts/readers-test $(READERS)

tools-test: ## Read the same rows with DuckDB, Polars, PyArrow, pandas, Dask and Spark, and write docs/tools.md; needs Java
	scripts/with-minio scripts/tools-test

singer-test: ## Land two Singer taps, alone and with Meltano, and compare each row with what the tap printed; installs them
	scripts/with-minio scripts/singer-test $(SINGER)

alternatives-test: ## Try the guarantees with dlt, boto3, obstore, rclone and s5cmd, and write docs/alternatives.md; needs Go
	scripts/with-minio scripts/alternatives-test

distributed-test: ## Validate on a Dask cluster while a worker is killed; RELEASE=1 measures; DISTRIBUTED="--partitions N"
	scripts/with-postgres scripts/with-minio scripts/distributed-test $(DISTRIBUTED)

recipes-test: ## Run the programs of docs/recipes.md with dlt, Airflow, the Google Ads library and MinIO; installs them
	scripts/with-minio scripts/recipes-test $(RECIPES)

python-test: ## Test the Python package: types, stubs, and the suite on a directory and MinIO; installs pytest and mypy
	scripts/with-minio scripts/python-test $(PYTEST)

wheel: ## Build the Python wheel with the program for manylinux, and try it in an empty environment: dist/*.whl
	scripts/with-minio scripts/wheel

bench-python: ## Measure rows per second, CPU and memory of each Python call, beside other tools; needs a release wheel
	scripts/with-minio scripts/bench-python $(BENCH)

deploy-test: ## Lint the Ansible role and run it on this machine, with real Vault, SOPS and MinIO; installs them
	deploy/ansible/tests/run

docs: ## Generate docs/cli.md, the help in docs/cli/ and docs/configuration.md
	UPDATE_DOCS=1 $(CARGO) test --package rawsink-cli --bin rawsink docs::

docs-test: ## Run the commands of the docs and compare their output; BUCKET=1 adds those that need a MinIO; UPDATE=1 writes it
	$(if $(BUCKET),scripts/with-minio) scripts/docs-test $(if $(BUCKET),--strict) $(if $(UPDATE),--update) $(PAGES)

docs-site: ## Build the site of the docs in target/site and check its links; installs mdBook and hyperlink
	scripts/docs-site

docs-serve: ## Show the site of the docs on http://localhost:3000 (PORT) and build it again after each change
	scripts/docs-site serve

lint: ## Check format, lints and documentation
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) fmt --manifest-path python/bench/pythonized/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target --no-default-features -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps

lint-workflows: ## Check the workflow files of GitHub Actions; installs actionlint if missing
	scripts/lint-workflows

supply-chain: ## Check licences, banned crates and sources of all crates; installs cargo-deny if missing
	scripts/supply-chain check

audit: ## Compare all crates with the RustSec advisories, which it fetches; ADVISORY_DB=path names a local clone instead
	scripts/supply-chain audit

json-suite: ## Check rows against JSONTestSuite, which is fetched; RAWSINK_JSON_SUITE names a local copy
	scripts/json-suite

fuzz: ## Fuzz the parsers of foreign input for FUZZ_SECONDS (600) each; TARGET=name selects one; needs g++
	scripts/fuzz $(TARGET)

dist: ## Pack the program: dist/*.tar.gz with completions, manual pages and the licences of all crates and an SBOM; SHA256SUMS
	scripts/dist

ci: lint supply-chain test-offline features simulate ## Run all checks that a change must pass
