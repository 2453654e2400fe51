# Every target works on a machine that has only Go, Python 3.11 or later and make, unless its description says otherwise.
SHELL := /bin/bash
export CGO_ENABLED = 0

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# A first build compiles everything that Rhizome is built on: a lazier garbage collector in the
# compiler saves a sixth of that time, for 400 MB more memory.
GCLAZY   = GOGC=400
LDFLAGS  = -s -w -X main.version=$(VERSION)
SOURCES := $(shell find cmd link node exec p2p protocol internal -type f \( -name '*.go' -o -name '*.sql' -o -name '*.py' \) 2>/dev/null) go.mod go.sum

.PHONY: help build venv venvs demo test chaos soak lines sessions bench connectivity natlab race lint generate fuzz clean
help: ## Show what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: bin/rhizome ## Build the one binary, bin/rhizome

bin/rhizome: $(SOURCES)
	$(GCLAZY) $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/rhizome

venv: .venv/flwr-1.41/ready ## Make the Python environment that the demo and most tests use

venvs: $(foreach version,1.40 1.41 1.42 1.41-jax,.venv/flwr-$(version)/ready) ## Make one for each version of flwr that the tests use, and one with jax

.venv/flwr-%-jax/ready: scripts/venv.sh scripts/jax.txt
	scripts/venv.sh $*.0 .venv/flwr-$*-jax -r scripts/jax.txt

.venv/flwr-%/ready: scripts/venv.sh
	scripts/venv.sh $*.0 .venv/flwr-$*

demo: ## Run a real Flower app over a relay, a link and three nodes
	@$(MAKE) --no-print-directory -j2 build venv # one compiles while the other downloads
	bin/rhizome demo --python .venv/flwr-1.41

test: ## Run all tests, with the real flwr
	@$(MAKE) --no-print-directory -j2 venvs # each waits for its downloads
	scripts/test.sh

chaos: venv ## Kill everything, 100 times and at every moment, and check that the result is the same
	scripts/chaos.sh

soak: venv ## Run apps for 20 minutes and a large model for 200 rounds, and check that nothing has grown
	RHIZOME_TEST_VENV="$${RHIZOME_TEST_VENV:-$(CURDIR)/.venv/flwr-1.41}" $(GO) test -tags long ./e2e/chaos -run 'TestSoak|TestLargeModels' -count=1 -v -timeout 120m

lines: ## Measure one transfer over long lines and lossy ones, in the lab
	$(GO) test -tags long ./e2e/swarm -run TestOneTransfer -count=1 -v -timeout 30m

sessions: venv ## Measure what ten thousand sessions cost a link
	RHIZOME_TEST_VENV="$${RHIZOME_TEST_VENV:-$(CURDIR)/.venv/flwr-1.41}" $(GO) test -tags long ./e2e/scale -run TestTenThousand -count=1 -v -timeout 60m

BENCH ?= short
bench: build venv ## Measure Rhizome beside stock Flower (BENCH=full: all rows)
	$(GO) build -o bin/fakenode ./examples/bench/fakenode
	python3 examples/bench/compare.py --venv .venv/flwr-1.41 --rhizome bin/rhizome --fakenode bin/fakenode \
		--work .bench --table .bench/table.md --out .bench/results.jsonl $(if $(filter full,$(BENCH)),--full)

connectivity: venv ## Measure every pair of networks, and rewrite the tables of docs/connectivity.md
	RHIZOME_CONNECTIVITY=1 RHIZOME_TEST_VENV="$${RHIZOME_TEST_VENV:-$(CURDIR)/.venv/flwr-1.41}" $(GO) test ./e2e/nat -count=1 -v -timeout 60m

natlab: build venv ## Run the quickstart with every party behind a NAT, and open the lab to play with
	examples/behind-nat/run.sh --python "$${RHIZOME_TEST_VENV:-.venv/flwr-1.41}" --shell

fuzz: ## Run every fuzz target for FUZZTIME (default 30s)
	scripts/fuzz.sh

race: venvs ## Run the tests under the race detector (needs a C compiler)
	scripts/race.sh

lint: ## Run golangci-lint, and check that go.mod is tidy, all platforms build and generated code is up to date
	scripts/lint.sh

generate: ## Regenerate the protobuf code and docs/limits.md
	$(GO) generate ./...

clean: ## Remove what was built
	rm -rf bin .venv .demo .bench
