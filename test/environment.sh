# environment.sh: what test/run, test/demo/run and the benchmarks share; to be sourced with $top set.
#
# As root the clusters run as the user postgres (initdb refuses root), else as whoever calls; only
# installing needs rights.  Everything that runs, runs from a copy in a folder of that user's own.

if [ "$(id -u)" = 0 ]; then
  as_root() { "$@"; }
  as_user() { (cd "${stage:-/}" && exec runuser -u postgres -- env HOME="${stage:-/tmp}" "$@"); }
else
  as_root() { sudo "$@"; }
  as_user() { "$@"; }
fi

# The newest server whose development files are here, unless PG_CONFIG says otherwise.
find_postgres() {
  if [ -z "${PG_CONFIG:-}" ]; then
    for candidate in $(ls -d /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | sort -V); do
      [ -f "$("$candidate" --pgxs)" ] && PG_CONFIG=$candidate
    done
  fi
  [ -n "${PG_CONFIG:-}" ] || { echo "no PostgreSQL with development files found: run make setup" >&2; return 1; }
  export PG_CONFIG
  bindir=$("$PG_CONFIG" --bindir)
  pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
  PATH=$bindir:$PATH
}

# Builds the extension, installs it into the server, and builds the server-free parts: all of them, or what
# the arguments (of cmake --build) say.
build_and_install() {
  make -C "$top" -s -j"$(nproc)" all
  as_root make -C "$top" -s install PG_CONFIG="$PG_CONFIG" >/dev/null
  cmake -S "$top" -B "$top/build" >/dev/null
  cmake --build "$top/build" -j"$(nproc)" "$@" >/dev/null
}

# A folder of the unprivileged user's own with all that runs: $stage.  Removed by remove_stage.
make_stage() {
  stage=$(mktemp -d "${TMPDIR:-/tmp}/product_optimizer.XXXXXX")
  cp -a "$top/Makefile" "$top/product_optimizer.control" "$top/src" "$top/sql" "$top/expected" "$top/test" "$stage/"
  find "$stage/src" -name '*.o' -delete
  cp -a "$top/build/test/mock_openai/mock_openai" "$stage/mock_openai"
  [ "$(id -u)" != 0 ] || chown -R postgres "$stage"
  chmod 755 "$stage"
}

remove_stage() { [ -z "${stage:-}" ] || rm -rf "$stage"; }
