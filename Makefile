.PHONY: run test lint prepare check

run:
	@scripts/install-prerequisites
	cargo run -- $(ARGS)

test:
	@scripts/install-prerequisites
	cargo test

lint:
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- --deny warnings

# After a change of a query or a migration.
prepare:
	scripts/prepare-queries

# All that must hold before a change lands.
check:
	@.ci/run
