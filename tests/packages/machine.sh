# A bare Debian in a folder, started with systemd as its first process: in namespaces of its own,
# with a network of its own that leads nowhere. It ends with the script that sources this file.
# Needs root, and debootstrap once.

# The packages beyond the smallest Debian: an init, and what the commands of README.Debian use.
MORE_PACKAGES=systemd,systemd-sysv,curl,ca-certificates
SUITE=bookworm
ENVIRONMENT=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)

# unpack_debian FOLDER: makes the system. What debootstrap downloads is kept for the next time.
unpack_debian() {
    local kept="${XDG_CACHE_HOME:-$HOME/.cache}/tollgate/debian-$SUITE.tar" made
    if [ ! -e "$kept" ]; then
        mkdir -p "${kept%/*}"
        made=$(mktemp -d)
        debootstrap --variant=minbase --include="$MORE_PACKAGES" "$SUITE" "$made/system" >"$made/log" 2>&1 ||
            { tail -n 20 "$made/log" >&2 && rm -rf "$made" && return 1; }
        rm -f "$made"/system/var/cache/apt/archives/*.deb
        tar -C "$made/system" -cf "$kept.$$" .
        mv "$kept.$$" "$kept"
        rm -rf "$made"
    fi
    mkdir -p "$1"
    tar -C "$1" -xf "$kept"
}

# Prints the mount points of the hierarchies of control groups that systemd uses.
control_groups() { awk '$3 == "cgroup2" || $3 == "cgroup" && $4 ~ /name=systemd/ { print $2 }' /proc/mounts; }

# Runs in the new namespaces: prepares the file systems of the folder $1, and becomes its init.
become_init() {
    local root=$1 device
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
        mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
        mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
    fi
    # Not chroot: the kernel refuses user namespaces (PrivateUsers=) in one.
    mkdir -p "$root/.old"
    cd "$root"
    pivot_root . .old
    umount --lazy /.old
    exec "${ENVIRONMENT[@]}" container=tollgate-test /lib/systemd/systemd --system
}

# boot FOLDER: starts the system, and waits until it is up.
boot() {
    local hierarchy
    machine_name=tollgate-test-$$
    trap shut_down EXIT
    for hierarchy in $(control_groups); do mkdir -p "$hierarchy/$machine_name"; done
    (
        for hierarchy in $(control_groups); do echo "$BASHPID" >"$hierarchy/$machine_name/cgroup.procs"; done
        exec unshare --pid --fork --kill-child --mount --uts --ipc --cgroup --net \
            bash -ec "$(declare -p ENVIRONMENT); $(declare -f become_init); become_init '$1'"
    ) >"$1/../boot.log" 2>&1 </dev/null &
    machine=$!
    for _ in $(seq 300); do
        init=$(pgrep --parent "$machine" || true)
        [ -z "$init" ] || ! inside systemctl is-system-running --wait >/dev/null 2>&1 || return 0
        kill -0 "$machine" 2>/dev/null || break
        sleep 0.1
    done
    echo "the system did not start:" >&2
    cat "$1/../boot.log" >&2
    inside systemctl list-units --failed --no-pager >&2 || true
    return 1
}

# inside COMMAND...: runs a command in the system, as root.
inside() { nsenter --target "$init" --all --root --wd "${ENVIRONMENT[@]}" "$@"; }

# Ends the system, with all that runs in it.
shut_down() {
    local hierarchy
    [ -z "${machine:-}" ] || { kill -KILL "$machine" && wait "$machine"; } 2>/dev/null || true
    machine=
    for hierarchy in $(control_groups); do
        # The kernel takes a moment to notice that the processes are gone.
        for _ in $(seq 50); do
            find "$hierarchy/$machine_name" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [ -d "$hierarchy/$machine_name" ] || break
            sleep 0.1
        done
    done
}
