#!/usr/bin/env bash
# Tries the Debian package on a bare Debian with systemd: install, first paid answer, upgrade,
# remove, purge. Needs root.
#
#   tests/packages/debian.sh PACKAGE FOLDER PORT
#
# PORT is one of this machine's, for the part without a network of its own.
set -euo pipefail
package=$(realpath "$1") folder=$(realpath "$2") port=$3
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./checks.sh
. ./machine.sh
root=$folder/root
version=$(dpkg-deb --field "$package" Version)
SETTINGS=/etc/tollgate/tollgate.toml
SERVER=http://127.0.0.1:8000

# Prints the commands in the first section of README.Debian, as the package has it.
documented_commands() {
    dpkg-deb --fsys-tarfile "$package" | tar -xO ./usr/share/doc/tollgate/README.Debian |
        sed -n '/^From the package/,/^What is where/s/^    //p'
}

# Makes a package of an older version with another default in the settings file.
make_older() {
    dpkg-deb --raw-extract "$package" "$folder/older"
    sed -i 's/^Version: .*/Version: 0.0.1-1/' "$folder/older/DEBIAN/control"
    echo '# A line that the next version no longer has.' >>"$folder/older$SETTINGS"
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$folder/older" "$root/srv/older.deb" >/dev/null
}

apt() { inside apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" >>"$folder/apt.log" 2>&1 || fail "apt-get $*: $(tail -n 20 "$folder/apt.log")"; }
tollgate() { inside runuser -u tollgate -- tollgate --config "$SETTINGS" "$@"; }
is_active() { inside systemctl is-active --quiet tollgate; }
main_process() { inside systemctl show --property MainPID --value tollgate; }
chat() { inside curl -s "$SERVER/chat/" -H "Authorization: Bearer $token" --json '{"message":"Again"}'; }
balance() { inside curl -s "$SERVER/balance/" -H "Authorization: Bearer $token"; }
log_in() { token=$(inside curl -s "$SERVER/login/" --json '{"username":"ada","password":"correct horse"}' | grep -o 'tg_[^"]*'); }
mode_of() { inside stat -c '%U:%G %a' "$1"; }
# The server may take a moment to listen.
wait_until_ready() {
    for _ in $(seq 100); do
        ! tollgate health --ready >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    inside journalctl -u tollgate --no-pager -n 30 >&2
    fail "the server is not ready"
}
delete_data_at_purge() { echo 'tollgate tollgate/delete-data boolean true' | inside debconf-set-selections; }
# Prints what is left of the package, outside of the folder for packages and the logs of apt.
remains() {
    find "$root" -xdev -iname '*tollgate*' ! -path "$root/srv/*" ! -path "$root/var/log/*" ! -path "$root/run/*" -printf '/%P\n'
    grep tollgate "$root"/etc/{passwd,group,shadow,gshadow} || true
}

check_first_answer() {
    local started ended answer
    cp "$package" "$root/srv/"
    documented_commands >"$root/srv/commands"
    expect 'commands in README.Debian' "$(wc -l <"$root/srv/commands")" 3
    started=$(date +%s%N)
    answer=$(inside bash -ec 'cd /srv && . ./commands') || fail "the commands of README.Debian: $answer"
    ended=$(date +%s%N)
    expect 'the answer' "$(tail -n 1 <<<"$answer")" '{"message":"Hello","response":"Response to Hello"}'
    log_in
    expect 'the balance' "$(balance)" '{"tokens":3900}'
    figure 'from the Debian package to the first paid answer' "$(seconds_between "$started" "$ended") s in a bare Debian ($SUITE)"
}

check_installed() {
    local exposure refused
    is_active || fail "the service is not active"
    expect 'enabled' "$(inside systemctl is-enabled tollgate)" enabled
    expect "mode of $SETTINGS" "$(mode_of "$SETTINGS")" 'root:tollgate 640'
    expect 'mode of /etc/tollgate' "$(mode_of /etc/tollgate)" 'root:tollgate 750'
    expect 'mode of /var/lib/tollgate' "$(mode_of /var/lib/tollgate)" 'tollgate:tollgate 700'
    expect 'mode of the database' "$(mode_of /var/lib/tollgate/tollgate.db)" 'tollgate:tollgate 600'
    holds 'the list of components' inside grep -q '"name": "openssl"' /usr/share/doc/tollgate/tollgate.cdx.json
    holds 'the licences' inside sh -c 'zcat /usr/share/doc/tollgate/THIRD-PARTY-LICENCES.gz | grep -q "^libpq "'
    holds 'health' tollgate health
    holds 'verify' tollgate verify
    holds 'config' tollgate config
    holds 'the unit' inside systemd-analyze verify --man=no tollgate.service
    inside journalctl -u tollgate --no-pager >"$folder/journal"
    holds 'the link for the first superuser is in the log' grep -q '/admin/first-run/' "$folder/journal"
    refused=$(grep -iE 'WARN|ERROR|not permitted|denied' "$folder/journal" || true)
    expect 'what the log complains of' "$refused" ''
    # The kernel refuses it to this process, whatever the modes of files say.
    expect 'write protection' "$(inside nsenter --target "$(main_process)" --mount touch /usr/x 2>&1 | grep -o 'Read-only.*')" 'Read-only file system'
    exposure=$(inside systemd-analyze security tollgate --no-pager | sed -n 's/.*exposure level for tollgate.service: \([0-9.]*\).*/\1/p')
    awk -v exposure="$exposure" 'BEGIN { exit !(exposure > 0 && exposure < 2) }' || fail "systemd-analyze security: $exposure"
    figure 'systemd-analyze security' "$exposure"
}

check_reload_and_idempotence() {
    sed -i 's/^# chat-price = .*/chat-price = 70/' "$root$SETTINGS"
    inside systemctl reload tollgate
    for _ in $(seq 50); do
        ! inside journalctl -u tollgate --no-pager | grep -q 'reloaded: chat-price' || break
        sleep 0.1
    done
    chat >/dev/null
    expect 'the balance after a chat at the new price' "$(balance)" '{"tokens":3830}'
    holds 'postinst, again' inside env DPKG_MAINTSCRIPT_PACKAGE=tollgate /var/lib/dpkg/info/tollgate.postinst configure "$version"
    apt install --reinstall "/srv/${package##*/}"
    wait_until_ready
    inside systemctl disable --quiet --now tollgate
    apt install --reinstall "/srv/${package##*/}"
    expect 'a service that was disabled' "$(inside systemctl is-enabled tollgate || true)" disabled
    lacks 'a service that was stopped stays so' is_active
}

check_upgrade() {
    local process
    delete_data_at_purge
    apt purge tollgate
    apt install /srv/older.deb
    wait_until_ready
    inside curl -s "$SERVER/register/" --json '{"username":"ada","password":"correct horse"}' >/dev/null
    log_in
    chat >/dev/null
    sed -i 's/^# chat-price = .*/chat-price = 50/' "$root$SETTINGS"
    process=$(main_process)
    apt install "/srv/${package##*/}"
    wait_until_ready
    expect 'the version' "$(inside dpkg-query -W -f '${Version}' tollgate)" "$version"
    [ "$(main_process)" != "$process" ] || fail "the upgrade did not restart the server"
    expect 'the settings of the administrator' "$(grep -c '^chat-price = 50' "$root$SETTINGS")" 1
    expect "mode of $SETTINGS" "$(mode_of "$SETTINGS")" 'root:tollgate 640'
    expect 'the balance after the upgrade' "$(balance)" '{"tokens":3900}'
    chat >/dev/null
    expect 'the balance after a chat at the kept price' "$(balance)" '{"tokens":3850}'
    holds 'verify' tollgate verify
    figure 'upgrade of the Debian package' 'the settings and the data stay, and the server is restarted; from an older version number, made from the same binary'
}

check_remove_and_purge() {
    apt remove tollgate
    lacks 'a removed server answers' inside curl -s "$SERVER/healthz"
    holds 'the settings after the removal' test -e "$root$SETTINGS"
    apt install "/srv/${package##*/}"
    wait_until_ready
    expect 'the balance after the removal' "$(balance)" '{"tokens":3850}'
    apt purge tollgate
    lacks 'settings after the purge' test -e "$root/etc/tollgate"
    holds 'the data after a purge without an answer' test -e "$root/var/lib/tollgate/tollgate.db"
    apt install "/srv/${package##*/}"
    wait_until_ready
    expect 'the balance after the purge' "$(balance)" '{"tokens":3850}'
    delete_data_at_purge
    apt purge tollgate
    expect 'what is left after a purge that deletes the data' "$(remains)" ''
    figure 'remove and purge of the Debian package' 'removal keeps settings and data; purge deletes the settings, and the data only if asked to; nothing else is left'
}

# Without systemd, as in a chroot: the scripts of the package do what they can.
check_without_systemd() {
    local process
    changed() { chroot "$root" "${ENVIRONMENT[@]}" "$@" >>"$folder/apt.log" 2>&1; }
    changed dpkg --install "/srv/${package##*/}" || fail "dpkg --install in a chroot: $(tail -n 20 "$folder/apt.log")"
    chroot --userspec=tollgate:tollgate "$root" "${ENVIRONMENT[@]}" TOLLGATE_BIND="127.0.0.1:$port" \
        sh -c 'cd /var/lib/tollgate && exec tollgate --config /etc/tollgate/tollgate.toml' >"$folder/chroot.log" 2>&1 &
    process=$!
    for _ in $(seq 100); do
        ! curl -sf "http://127.0.0.1:$port/readyz" >/dev/null || break
        sleep 0.1
    done
    holds 'a server in a chroot answers' curl -sf "http://127.0.0.1:$port/readyz"
    kill "$process" && wait "$process" || fail "the server in the chroot ended with $?: $(cat "$folder/chroot.log")"
    echo 'tollgate tollgate/delete-data boolean true' | chroot "$root" "${ENVIRONMENT[@]}" debconf-set-selections
    changed dpkg --purge tollgate || fail "dpkg --purge in a chroot: $(tail -n 20 "$folder/apt.log")"
    expect 'what is left in the chroot' "$(remains)" ''
    figure 'the Debian package without systemd, in a chroot' 'installed, started as its user, purged'
}

unpack_debian "$root"
make_older
boot "$root"
figure 'Debian package' "$(megabytes "$(stat -c %s "$package")"), $(megabytes $((1024 * $(dpkg-deb --field "$package" Installed-Size)))) installed"
check_first_answer
check_installed
check_reload_and_idempotence
check_upgrade
check_remove_and_purge
shut_down
check_without_systemd
