#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The way to the store over TLS, with a CA of the test's own: verified and bound to its channel, or refused, told, and never
# tried without.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
SC_DB_NET=1
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

PORT=5432 # of a network of its own
ca=$TMPDIR/ca
store_is() { scram status --json | jq -se ".[0].store | $1"; } # JQ_TEST
quietly() { "$@" >>"$TMPDIR/openssl.log" 2>&1; }

authority() { # NAME
	quietly openssl req -x509 -newkey rsa:2048 -nodes -keyout "$ca/$1.key" -out "$ca/$1.crt" -subj "/CN=$1" -days 2
}
certificate() { # NAME AUTHORITY HOST DAYS
	quietly openssl req -newkey rsa:2048 -nodes -keyout "$ca/$1.key" -out "$ca/$1.csr" -subj "/CN=$3"
	quietly openssl x509 -req -in "$ca/$1.csr" -CA "$ca/$2.crt" -CAkey "$ca/$2.key" -CAcreateserial -days "$4" \
		-extfile <(printf 'subjectAltName=DNS:%s\n' "$3") -out "$ca/$1.crt"
}
serve_with() { # CERTIFICATE: the server starts anew with it
	install -o "$pg_user" -m 600 "$ca/$1.key" "$pg/data/server.key"
	install -o "$pg_user" -m 644 "$ca/$1.crt" "$pg/data/server.crt"
	cluster_stop INT
	cluster_start
}

check 'there is a network of its own' ip link set lo up
check 'a cluster of its own' cluster_make 160
check 'the store is made' "$scram_bin" migrate
sql "SET password_encryption = 'scram-sha-256'; CREATE ROLE shipper LOGIN PASSWORD 'hunter2'; GRANT scram_ship TO shipper" >/dev/null
mkdir -p "$ca" && chmod 755 "$ca"
authority trusted && authority stranger
certificate good trusted localhost 2
certificate other-host trusted elsewhere 2
certificate expired trusted localhost -1
certificate strange stranger localhost 2
chmod 644 "$ca"/*.crt
cat >>"$pg/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $PORT
ssl = on
log_connections = on
log_min_messages = log
END
printf 'local all postgres trust\nhostssl all shipper 127.0.0.1/32 scram-sha-256\nhostnossl all all all reject\n' >"$pg/data/pg_hba.conf"
check 'the server serves TLS' serve_with good

url="host=localhost hostaddr=127.0.0.1 port=$PORT user=shipper password=hunter2 dbname=scram"
verified="$url sslmode=verify-full sslrootcert=$ca/trusted.crt channel_binding=require"
ping_with() { DATABASE_URL=$1 "$scram_bin" ping --store; }
# refused_with WHAT PATTERN URL: the ping fails and says why, without the password.
refused_with() {
	local said
	refuse "$1 is refused" 1 ping_with "$3"
	said=$(ping_with "$3" 2>&1)
	check "$1: and told" grep -q "$2" <<<"$said"
	refuse "$1: without the password" 1 grep -q hunter2 <<<"$said"
}
check 'verified and bound to its channel it answers' ping_with "$verified"
refused_with 'another CA' 'certificate verify failed' "$url sslmode=verify-full sslrootcert=$ca/stranger.crt"
refused_with 'a CA that is not there' 'root certificate file .* does not exist' "$url sslmode=verify-full sslrootcert=$ca/none.crt"
refused_with 'no TLS at all' 'rejects connection\|no encryption' "$url sslmode=disable"

# The worker, in its sandbox and as its own user.
printf 'conditions: []\n' >"$config"
chmod 600 "$config"
usual=$DATABASE_URL
export DATABASE_URL=$verified
check 'the agent starts' agent_start
check 'it ships over TLS' until_true 30 store_is '.connected and .lag_records == 0'
DATABASE_URL=$usual
equal 'which is what the server sees' "$(sql "SELECT bool_and(ssl), count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
	WHERE usename = 'shipper'")" 't|t'
# untrusted WHAT CERTIFICATE PATTERN: under the agent's eyes the server shows another certificate.
untrusted() {
	check "$1: the server starts anew" serve_with "$2"
	check "$1: the agent refuses it, and says so" until_true 60 store_is "(.connected | not) and (.last_error | test(\"$3\"))"
	check "$1: as a failure of the way" store_is ".errors.transient.recent > 0 and (.errors.transient.last | test(\"hunter2\") | not)"
	refused_with "$1" "$3" "$verified"
	equal "$1: nobody came in" "$(sql "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shipper'")" 0
}
untrusted 'a certificate of another host' other-host 'does not match host name'
untrusted 'a certificate that has expired' expired 'certificate verify failed'
untrusted 'a certificate of a stranger' strange 'certificate verify failed'
sed -i 's/^ssl = on/ssl = off/' "$pg/data/postgresql.conf"
printf 'local all postgres trust\nhost all shipper 127.0.0.1/32 scram-sha-256\n' >"$pg/data/pg_hba.conf"
untrusted 'a server without TLS' good 'server does not support SSL'
sed -i 's/^ssl = off/ssl = on/' "$pg/data/postgresql.conf"
check 'the right one again' serve_with good
check 'and all that waited is there' until_true 90 store_is '.connected and .lag_records == 0'
check 'the agent ends' agent_stop
tap_done
