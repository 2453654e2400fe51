#!/usr/bin/env bash
# Formatting, vet, staticcheck, generated code, and every platform that Rhizome promises.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0

unformatted=$(gofmt -l $(git ls-files '*.go'))
if [ -n "$unformatted" ]; then
  echo "gofmt would change: $unformatted" >&2
  exit 1
fi
go vet ./...
go tool staticcheck ./...
go vet -tags long ./e2e/...
go tool staticcheck -tags long ./e2e/...
for platform in linux/amd64 linux/arm64 linux/arm darwin/arm64; do
  echo "build $platform"
  GOOS=${platform%/*} GOARCH=${platform#*/} GOARM=7 go build -o /dev/null ./cmd/rhizome
done
go generate ./...
git diff --exit-code -- '*.pb.go' docs/limits.md || { echo "generated code is not what its source says: commit the result of make generate" >&2; exit 1; }
