# make demo   a local cluster, a sample dump imported into it and checked
# make test   everything: formatting, lint, tests with the race detector, fuzzing, demo
# make bench  the figures of the README, measured here

GO       ?= go
SERVERS  ?= .servers
FUZZTIME ?= 3000x

.PHONY: build demo test lint unit fuzz servers bench bench-compare server clean

build:
	$(GO) build -o bin/rdbimport ./cmd/rdbimport

demo: server build
	bin/rdbimport demo

# A server's binary, from Debian's redis-tools where none is there: that package
# starts no service.
server:
	@.ci/server.sh

# Real servers of five versions, from Debian's suites, into $(SERVERS).
servers:
	.ci/servers.sh $(SERVERS)

lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted: $$out"; exit 1; }
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff

unit:
	RDBIMPORT_SERVERS="$$(cd $(SERVERS) 2>/dev/null && pwd)" $(GO) test -race -timeout 25m -parallel 4 ./...
	$(GO) test -run '^TestRoundTrip' ./pipeline
	$(GO) test -tags purego ./rdbparse ./rdbparse/internal/... ./slotter/internal/... # without assembly, as on other processors

# Every fuzz target, for a fixed number of runs.
fuzz:
	@set -e; n=0; pkgs=$$($(GO) list ./...); for pkg in $$pkgs; do \
		targets=$$($(GO) test -list '^Fuzz' $$pkg); \
		for target in $$(echo "$$targets" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; n=$$((n+1)); \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; \
	done; test $$n -gt 0

test: server lint unit fuzz demo

bench: server
	$(GO) run ./bench/compare

# The Go benchmarks of this tree beside those of another revision: BASE=rev.
BENCH    ?= .
COUNT    ?= 10
bench-compare:
	@test -n "$(BASE)" || { echo "make bench-compare BASE=revision"; exit 1; }
	@set -e; dir=$$(mktemp -d); trap 'git worktree remove --force $$dir/base; rm -rf $$dir' EXIT; \
	git worktree add -q --detach $$dir/base "$(BASE)"; \
	pkgs="./rdbparse ./rdbparse/internal/crc64 ./slotter ./pipeline"; \
	for i in $$(seq $(COUNT)); do \
		(cd $$dir/base && $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime 0.2s $$pkgs) >>$$dir/base.txt || exit 1; \
		$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime 0.2s $$pkgs >>$$dir/here.txt || exit 1; \
	done; \
	$(GO) tool benchstat $$dir/base.txt $$dir/here.txt

# What the other targets have made here. Servers that are elsewhere are yours.
clean:
	rm -rf bin .servers
