# product_optimizer: the extension (PGXS), and the two commands for people: make demo, make test.

EXTENSION = product_optimizer
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" product_optimizer.control)
MODULE_big = product_optimizer
OBJS = $(patsubst %.cpp,%.o,$(sort $(wildcard src/core/*.cpp src/openai/*.cpp src/http/*.cpp src/postgres/*.cpp)))

# The install script is joined from its topics, in this order.
SCHEMA = tables claiming caps limits control monitoring access privileges
DATA_built = $(EXTENSION)--$(EXTVERSION).sql

REGRESS = install claiming settling limits control monitoring bad_input
REGRESS_OPTS = --temp-instance=./tmp_check --temp-config=test/regress.conf --inputdir=. --no-locale --encoding=UTF8
ISOLATION = claim_concurrently claim_and_update no_row_is_hidden pending_cap
ISOLATION_OPTS = --temp-instance=./tmp_check_iso --temp-config=test/regress.conf --inputdir=test/isolation --no-locale --encoding=UTF8

PG_CONFIG ?= pg_config
PG_CXXFLAGS = -std=c++17 -Wall -Wextra -Wno-unused-parameter -Werror -fvisibility=hidden -fvisibility-inlines-hidden \
	-DPRODUCT_OPTIMIZER_VERSION='"$(EXTVERSION)"' $(EXTRA_CXXFLAGS)
# As a system folder, so that the server's headers are not held to our warnings.
PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server)
SHLIB_LINK = -lcurl -Wl,--version-script=src/postgres/exports.map $(EXTRA_LDFLAGS)
EXTRA_CLEAN = $(EXTENSION)--*.sql tmp_check tmp_check_iso build build-fuzz build-asan test-results

# The people's commands come before PGXS, for it needs the server's development files, which they install.
ifneq ($(filter demo test chaos fuzz setup test-% bench-%,$(MAKECMDGOALS)),)

demo: setup
	@test/demo/run

test: setup
	@test/run

test-asan: setup
	@test/asan/run

chaos: setup
	@test/chaos/run

fuzz: setup
	@test/fuzz/run

bench-micro: setup
	@cmake -S . -B build >/dev/null && cmake --build build -j"$$(nproc)" --target micro_bench >/dev/null
	@build/test/bench/micro_bench

bench-claim: setup
	@test/bench/claim/run
bench-memory: setup
	@test/bench/memory/run
bench-limit: setup
	@test/bench/limit/run

setup:
	@test/setup

.PHONY: demo test chaos fuzz bench-micro bench-claim setup test-asan bench-memory bench-limit

else

# The JIT's bitcode ignores our flags, and C++ gains nothing from it.
override with_llvm = no
# Linking is C++'s business too.
override COMPILER = $(CXX) $(CXXFLAGS)

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(EXTENSION)--$(EXTVERSION).sql: $(SCHEMA:%=src/schema/%.sql) product_optimizer.control
	@grep -q '"version": "$(EXTVERSION)"' META.json || { echo "META.json names another version than product_optimizer.control" >&2; exit 1; }
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; cat $(SCHEMA:%=src/schema/%.sql); } > $@

$(OBJS): $(wildcard src/*/*.h) Makefile product_optimizer.control

endif
