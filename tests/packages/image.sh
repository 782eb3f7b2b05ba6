#!/usr/bin/env bash
# Runs the tree of the container image as an engine would: unpacked from an archive, read-only, as
# the user of the image, as the first process of its own namespace. Needs root.
#
#   tests/packages/image.sh BINARY FOLDER PORT
set -euo pipefail
binary=$(realpath "$1") folder=$(realpath "$2") port=$3
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./checks.sh
repository=$(realpath ../..)
root=$folder/root
LIMIT=40000000

# of_image INSTRUCTION: prints the value that the last stage of the Dockerfile gives to it.
of_image() { sed -n "/^FROM scratch/,\$s/^$1 //p" "$repository/Dockerfile"; }
# Prints the words of a list in the form ["a", "b"].
words() { tr -d '[]",' <<<"$1"; }

# Runs in the new namespaces: mounts what an engine mounts, and becomes the server.
become_server() {
    local root=$1 user=$2 folder=$3
    shift 3
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount -t tmpfs -o "mode=700,uid=${user%:*},gid=${user#*:}" tmpfs "$root$folder"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
    exec env -i "${VARIABLES[@]}" /usr/bin/nsenter --root="$root" --wd="$root$folder" --setgid "${user#*:}" --setuid "${user%:*}" "$@"
}

"$repository/packaging/image-tree" "$binary" "$folder/tree"
tar -C "$folder/tree" -cf "$folder/image.tar" .
mkdir "$root"
tar -C "$root" -xpf "$folder/image.tar"
size=$(find "$root" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
[ "$size" -lt "$LIMIT" ] || fail "the image has $size bytes: the limit is $LIMIT"
figure 'container image' "$(megabytes "$size") unpacked, $(megabytes "$(gzip -6c "$folder/image.tar" | wc -c)") compressed; the binary alone has $(megabytes "$(stat -c %s "$binary")")"
for name in tollgate.cdx.json THIRD-PARTY-LICENCES; do
    holds "$name" test -s "$root/usr/share/doc/tollgate/$name"
done
for name in ca-certificates libc6 libgcc-s1; do
    holds "$name in the list" grep -q "\"pkg:deb/debian/$name@" "$root/usr/share/doc/tollgate/tollgate.cdx.json"
done
expect 'programs in the image' "$(find "$root" -type f -perm /111 ! -name '*.so*' -printf '/%P\n')" /usr/bin/tollgate
expect 'files of other users that it may write to' "$(find "$root" ! -type l -perm -002 ! -path "$root/tmp" -printf '/%P\n')" ''

user=$(of_image USER) data=$(of_image WORKDIR)
read -ra command <<<"$(words "$(of_image ENTRYPOINT)")"
read -ra health <<<"$(words "$(of_image HEALTHCHECK | sed 's/.* CMD //')")"
read -ra VARIABLES <<<"$(of_image ENV)"
expect 'the address in the image' "${VARIABLES[0]}" TOLLGATE_BIND=0.0.0.0:8000
[ "${user%%:*}" -gt 0 ] || fail "the image runs as root"
# This machine's network is shared, so the port is another one. What engines mount comes from here.
VARIABLES=("TOLLGATE_BIND=127.0.0.1:$port")
mkdir -p "$root/proc" && cp /etc/hosts "$root/etc/hosts"
inside=(env -i "${VARIABLES[@]}" /usr/bin/nsenter --root="$root" --wd="$root$data" --setgid "${user#*:}" --setuid "${user%:*}")

started=$(date +%s%N)
unshare --pid --fork --kill-child --mount \
    bash -ec "$(declare -p VARIABLES); $(declare -f become_server); cd /; become_server \"\$@\"" server \
    "$root" "$user" "$data" "${command[@]}" >"$folder/server.log" 2>&1 &
engine=$!
trap 'kill -KILL "$engine" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    ! "${inside[@]}" "${health[@]}" >/dev/null 2>&1 || break
    sleep 0.1
done
expect 'the health check' "$("${inside[@]}" "${health[@]}" 2>&1)" alive
server=http://127.0.0.1:$port
account='{"username":"ada","password":"correct horse"}'
curl -s "$server/register/" --json "$account" >/dev/null
token=$(curl -s "$server/login/" --json "$account" | grep -o 'tg_[^"]*')
expect 'the answer' "$(curl -s "$server/chat/" -H "Authorization: Bearer $token" --json '{"message":"Hello"}')" '{"message":"Hello","response":"Response to Hello"}'
ended=$(date +%s%N)
expect 'the balance' "$(curl -s "$server/balance/" -H "Authorization: Bearer $token")" '{"tokens":3900}'
figure 'from the unpacked image to the first paid answer' "$(seconds_between "$started" "$ended") s"

# Names are found without any program or library of the system.
said=$("${inside[@]}" /usr/bin/tollgate verify --database-url postgres://u@localhost:1/d 2>&1 || true)
[[ $said == *refused* ]] || fail "the name localhost: $said"
process=$(pgrep --parent "$engine")
expect 'the server is the first process' "$(awk '/^NSpid/ { print $NF }' "/proc/$process/status")" 1
kill -TERM "$process"
status=0
wait "$engine" || status=$?
expect 'the exit code after SIGTERM' "$status" 0
lacks 'the health check of a server that has ended' "${inside[@]}" "${health[@]}"
