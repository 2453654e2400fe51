#!/usr/bin/env bash
# Runs golangci-lint with .golangci.yml, and checks that go.mod is tidy, that generated code is up to date, and that Rhizome builds for
# every platform it promises.
#
# The linter is pinned in its own module, scripts/lint, so that its hundreds of requirements are not the product's: whoever
# imports or audits Rhizome sees what it is built from, and no version of that is chosen by what a linter wants. The Go command builds
# the linter once per machine (about 210 CPU seconds) and keeps it in its cache.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

step() { # name, command...: runs the command and prints how long it took
  local name=$1 began=$SECONDS
  shift
  "$@"
  echo "lint: $name ($((SECONDS - began)) s)"
}

tidy() {
  go mod tidy -diff || { echo "go.mod is not tidy: commit the result of go mod tidy" >&2; exit 1; }
  (cd scripts/lint && go mod tidy -diff) || { echo "scripts/lint/go.mod is not tidy" >&2; exit 1; }
}

build_linter() { go build -C scripts/lint -o "$linter" github.com/golangci/golangci-lint/v2/cmd/golangci-lint; }

lint() { "$linter" run ./...; }

platforms() {
  local platform
  for platform in linux/amd64 linux/arm64 linux/arm darwin/arm64; do
    GOOS=${platform%/*} GOARCH=${platform#*/} GOARM=7 go build -o /dev/null ./cmd/rhizome || { echo "no build for $platform" >&2; exit 1; }
  done
}

generated() {
  go generate ./...
  git diff --exit-code -- '*.pb.go' docs/limits.md || { echo "generated code is not what its source says: commit the result of make generate" >&2; exit 1; }
}

mkdir -p bin
linter=$PWD/bin/golangci-lint
step "go.mod is tidy" tidy
step "golangci-lint is built" build_linter
step "golangci-lint finds nothing" lint
step "all platforms build" platforms
step "generated code is up to date" generated
