# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # the names are for those who source this
#
# A PostgreSQL of the test's own: source this after tap.sh, inside in-sandbox. Data and socket are in $pg, which is a small
# tmpfs; the server runs as an unprivileged user in a cgroup of the sandbox, and ends with it.

scram_bin=${SCRAM:-build/scram}
ship_bin=${scram_bin%/*}/scram-ship
drive_bin=${scram_bin%/*}/tests/db-drive
pg=$TMPDIR/pg
pg_cgroup=$SC_CGROUP_DIR/postgres
pg_log=$TMPDIR/postgres.log
pg_pid=
pg_user=postgres
id "$pg_user" >/dev/null 2>&1 || pg_user=nobody
pg_bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1)
export DATABASE_URL="host=$pg/socket user=postgres dbname=scram"
export SCRAM_MIGRATIONS_DIR=$PWD/migrations

# The tmpfs is to vanish with the script, whatever becomes of it: a mount namespace of its own; and with SC_DB_NET a network.
if [[ -z ${SC_DB_SPACE-} ]]; then
	SC_DB_SPACE=1 exec unshare --mount --propagation private ${SC_DB_NET:+--net} bash "$0" "$@"
fi

as_pg() { # COMMAND...
	setpriv --reuid "$pg_user" --regid "$(id -gn "$pg_user")" --clear-groups -- "$@"
}

cluster_make() { # MEGABYTES
	mkdir -p "$pg" "$pg_cgroup"
	chmod 755 "$TMPDIR"
	mount -t tmpfs -o "size=${1}m,mode=0755" tmpfs "$pg" || return 1
	install -d -o "$pg_user" -m 700 "$pg/data"
	install -d -o "$pg_user" -m 755 "$pg/socket"
	as_pg "$pg_bin/initdb" -D "$pg/data" -A trust -U postgres -E UTF8 --locale=C --no-sync --wal-segsize=1 \
		>"$TMPDIR/initdb.log" 2>&1 || { sed 's/^/# /' "$TMPDIR/initdb.log" && return 1; }
	cat >>"$pg/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$pg/socket'
		shared_buffers = 16MB
		max_connections = 20
		min_wal_size = 2MB
		max_wal_size = 8MB
		autovacuum = off
		log_min_messages = error
	END
	cluster_start && "$pg_bin/psql" -qX "host=$pg/socket user=postgres dbname=postgres" -c 'CREATE DATABASE scram'
}

pg_answers() { "$pg_bin/pg_isready" -q -h "$pg/socket" -U postgres; }

pg_settles() { pg_answers || ! kill -0 "$pg_pid"; }
pg_is_gone() { [[ -z $(cat "$pg_cgroup/cgroup.procs") ]]; }

# A server that was killed leaves its children for a moment: it is tried again until they are gone.
cluster_start() {
	local try
	for try in 1 2 3 4 5; do
		(
			echo "$BASHPID" >"$pg_cgroup/cgroup.procs"
			exec setpriv --reuid "$pg_user" --regid "$(id -gn "$pg_user")" --clear-groups -- "$pg_bin/postgres" -D "$pg/data"
		) >>"$pg_log" 2>&1 &
		pg_pid=$!
		until_true 60 pg_settles || return 1
		pg_answers && return 0
	done
	tail -n 5 "$pg_log" | sed 's/^/# /'
	return 1
}

cluster_stop() { # SIGNAL: TERM smart, INT fast, QUIT at once, KILL
	kill "-${1:-INT}" "$pg_pid"
	wait "$pg_pid" 2>/dev/null
	until_true 60 pg_is_gone
}

cluster_signal() { # SIGNAL: to the server and all its children
	# shellcheck disable=SC2046 # one pid each
	kill "-$1" $(cat "$pg_cgroup/cgroup.procs")
}

sql() { # STATEMENT: its bare values
	"$pg_bin/psql" -qXAt -v ON_ERROR_STOP=1 "$DATABASE_URL" -c "$1"
}

# The store anew: an empty database.
store_anew() {
	"$pg_bin/psql" -qX "host=$pg/socket user=postgres dbname=postgres" -c 'DROP DATABASE scram WITH (FORCE)' \
		-c 'CREATE DATABASE scram'
	"$scram_bin" migrate >/dev/null
}
