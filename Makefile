# Tidemark - `make` says what to try. The work is done by CMake (CMakePresets.json) and
# by scripts/; this file gives it short names.
WHO  = demo
PORT = 8080
DATA = data

help:
	@echo 'make run      build what is missing, start Tidemark, print the address'
	@echo '              (WHO=$(WHO) PORT=$(PORT) DATA=$(DATA); Ctrl-C stops it)'
	@echo 'make test     every suite; closes with "N passed, N failed"'
	@echo '              (scripts/test.sh WORD... for some of them)'
	@echo 'make build    build/release/tidemark and build/wasm/core.wasm'
	@echo 'make tiny     the golden cases with every chosen limit small'
	@echo 'make simulate years of faults on fresh seeds (SEEDS=20000)'
	@echo 'make bench    how fast it is here: one table, and build/bench.json'
	@echo '              (ONLY="apply edits calm ..." for a part); four minutes'
	@echo 'make bench-bill   what a user'\''s day costs on DynamoDB, request by request (DAYS=7)'
	@echo 'make bench-peers  the same work before Redis, Yjs, and node on SQLite'
	@echo 'make bench-page   typing and scrolling with 5,000 photos, in Chromium'
	@echo 'make screenshots  the pictures in docs/images, made anew'
	@echo 'make docs     the npm package'\''s reference, in build/docs/api'
	@echo 'make layers   does every room include only what it may know?'
	@echo 'make format   clang-format over the sources'
	@echo 'make lint     clang-tidy, cppcheck, tsc'
	@echo 'make fuzz     every fuzz target, 1,000,000 executions (RUNS=... or SECONDS=... each)'
	@echo 'make crash    the daemon killed a thousand times: is every edit there?'
	@echo 'make chaos    three servers, Redis and DynamoDB Local killed a hundred times'
	@echo 'make proof    every small history in every order (minutes; make test has a share)'
	@echo 'make models   the Spin models, searched exhaustively, and their broken variants'
	@echo 'make mutants  deliberate faults, one at a time: is each found?'
	@echo 'make lambda   the function for AWS Lambda: build/lambda/tidemark-lambda.zip'
	@echo 'make clean    removes build/, not the installed packages nor your data'

build:
	@scripts/bootstrap.sh build
	@scripts/build.sh

run: build
	@scripts/run.sh $(WHO) $(PORT) $(DATA)

test:
	@scripts/bootstrap.sh test
	@scripts/test.sh

tiny:
	@scripts/bootstrap.sh test
	@scripts/test.sh tiny

ONLY =
SEEDS = 20000
simulate: build
	@build/release/tidemark simulate --seeds $(SEEDS) --first-seed "$$(date +%s)000" --keep-going

bench: build
	@ONLY="$(ONLY)" scripts/bench.sh

DAYS = 7
bench-bill: build
	@scripts/bootstrap.sh test
	@scripts/build.sh release:bench
	@tests/dynamodb/with-local.sh node bench/bill.mjs $(DAYS)

bench-page: build
	@scripts/bootstrap.sh test
	@. scripts/env.sh && node bench/page.mjs

bench-peers: build
	@ONLY="$(ONLY)" scripts/bench.sh peers

layers:
	@scripts/layers.sh

format:
	@scripts/format.sh

lint:
	@scripts/bootstrap.sh lint
	@scripts/lint.sh

# ONLY=json names some of them. fuzz-merge takes what was found into tests/fuzz/corpus.
RUNS = 1000000
fuzz:
	@scripts/bootstrap.sh test
	@scripts/fuzz.sh $(if $(SECONDS),--seconds $(SECONDS),--runs $(RUNS)) $(ONLY)
fuzz-merge:
	@scripts/bootstrap.sh test
	@scripts/fuzz.sh --merge $(ONLY)

crash: build
	@scripts/bootstrap.sh test
	@scripts/crash.sh

chaos: build
	@scripts/bootstrap.sh test
	@scripts/chaos.sh $(SEED)

proof:
	@scripts/bootstrap.sh test
	@scripts/proof.sh whole

models:
	@scripts/bootstrap.sh test
	@scripts/models.sh whole

lambda: build
	@scripts/bootstrap.sh test
	@scripts/build.sh release:tidemark-lambda
	@packaging/lambda/pack.sh

docs:
	@scripts/bootstrap.sh test
	@npm run --silent build -w docs/api

mutants: build
	@scripts/bootstrap.sh test
	@scripts/mutants.sh

clean:
	rm -rf build

.PHONY: help build run test simulate tiny bench bench-bill bench-page screenshots layers format lint fuzz fuzz-merge proof models crash chaos mutants lambda clean docs
