# doppelbox: README says what the targets are for.

# A pipe fails if any part of it does.
SHELL = bash
.SHELLFLAGS = -euo pipefail -c

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.8.0

.PHONY: build demo test test-peers bench lint fuzz

build:
	go build -o .bin/doppelbox ./cmd/doppelbox

demo: build
	.bin/doppelbox replay --bundled
	.bin/doppelbox demo

# The race detector needs a C compiler. Without one Go turns cgo off by itself,
# and the tests run without the detector.
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

test:
	@test -n "$(RACE)" || echo "no C compiler: testing without the race detector"
	go test $(RACE) ./...

test-peers: build
	go test -count=1 -tags peers -timeout 20m ./cmd/doppelbox -run Peers

bench: build
	go test -count=1 -tags bench -timeout 20m ./cmd/doppelbox -run Bench -v

lint:
	@mkdir -p .bin
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	go vet ./... ./testdata/conformance
	go vet -tags peers,bench ./cmd/doppelbox
	go run $(STATICCHECK) ./... ./testdata/conformance
	cd testdata/peers/goverify && go vet ./... && go run $(STATICCHECK) ./...
	go test ./cmd/doppelbox -run 'TestImports|TestCalls|TestPackage|TestTopLevel'
	@if go run $(GOVULNCHECK) ./... >.bin/govulncheck 2>&1; then echo "govulncheck: nothing known"; \
	elif grep -qE 'no such host|connection refused|dial tcp|Forbidden|proxyconnect|fetching vulnerabilities' .bin/govulncheck; then echo "govulncheck: skipped, its database cannot be reached"; \
	else cat .bin/govulncheck; exit 1; fi

# Every fuzz test of the module, for FUZZTIME each. Before Go 1.27 the end of that
# time may itself be reported as a failure (go.dev/issue/75804): with this error
# alone, and without an input, which every finding leaves.
ENDED = { grep -qx '    context deadline exceeded' .bin/fuzz && ! grep -qE 'Failing input|panic:|_test.go:' .bin/fuzz && echo "ended with Go's own deadline, nothing found"; }
FUZZTIME ?= 10s
fuzz:
	@mkdir -p .bin
	@for pkg in $$(go list ./...); do \
		for name in $$(go test $$pkg -list '^Fuzz' | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; \
			go test $$pkg -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x >.bin/fuzz 2>&1 && tail -n 1 .bin/fuzz || $(ENDED) || { cat .bin/fuzz; exit 1; }; \
		done; \
	done
