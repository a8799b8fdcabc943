#!/usr/bin/env bash
# Makes RabbitMQ 4 available for the tests: rabbitmq4.sh FOLDER
#
# Debian 13 with its package rabbitmq-server (4.0) and nothing else is put into FOLDER/root (some
# 450 MB), by debootstrap; FOLDER/bin/rabbitmq-server runs it. Nothing of the system is changed:
# the program sees Debian 13's /usr, /etc and /var, and everything else, its data among it, where
# it is for everybody. A second call finds what the first one made.
#
# Building needs root (sudo is asked for). So does running, or a kernel that lets ordinary users
# have namespaces. The packages come from the mirror that apt is set to where that is Debian's,
# else from deb.debian.org; AIQUEUE_DEBIAN_MIRROR names another.
set -euo pipefail

SUITE=trixie
FOLDER=${1:?"usage: rabbitmq4.sh FOLDER"}
mkdir -p "$FOLDER"
FOLDER=$(cd "$FOLDER" && pwd -P)
ROOT=$FOLDER/root
DONE=$ROOT/.aiqueue-done

say() { echo "==> $*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

mirror() {
    local found=${AIQUEUE_DEBIAN_MIRROR:-}
    if [ -z "$found" ] && command -v apt-get >/dev/null; then
        found=$(apt-get indextargets --format '$(REPO_URI)' \
            'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
    fi
    echo "${found:-http://deb.debian.org/debian}"
}

build() {
    "$(dirname "$0")/install_system.sh" debootstrap
    say "Building Debian 13 with RabbitMQ 4 in $ROOT (a minute or two, once)"
    # In a mount namespace of its own: whatever debootstrap mounts is gone with it.
    as_root env PATH="$PATH:/usr/sbin:/sbin" unshare --mount -- bash -euo pipefail -c '
        root=$1 suite=$2 mirror=$3
        rm -rf --one-file-system "$root"
        debootstrap --variant=minbase "$suite" "$root" "$mirror"
        # Debian starts what it installs unless policy-rc.d answers 101 ("forbidden").
        printf "#!/bin/sh\nexit 101\n" >"$root/usr/sbin/policy-rc.d"
        chmod 755 "$root" "$root/usr/sbin/policy-rc.d"
        chroot "$root" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends rabbitmq-server
        chroot "$root" apt-get clean
        touch "$root/etc/hosts" "$root/.aiqueue-done"
    ' bash "$ROOT" "$SUITE" "$(mirror)" >"$FOLDER/build.log" 2>&1 || {
        tail -n 20 "$FOLDER/build.log" >&2
        say "RabbitMQ 4 could not be built; all of it is in $FOLDER/build.log."
        exit 1
    }
}

# What the program shares with the system needs a place in its tree.
make_places() {
    local place missing=()
    for place in /*; do
        [ -d "$place" ] && [ ! -e "$ROOT$place" ] && missing+=("$ROOT$place")
    done
    [ ${#missing[@]} -eq 0 ] || as_root mkdir -p "${missing[@]}"
}

# Each step is an exec, so that the process that was started is the one that runs.
wrap() {
    local name=$1 program=$2
    cat >"$FOLDER/bin/$name" <<WRAPPER
#!/bin/sh
# Made by scripts/rabbitmq4.sh: $program of the tree in $ROOT.
as_root=
[ "\$(id -u)" -eq 0 ] || as_root=--map-root-user
exec unshare --mount \$as_root -- /bin/sh -c '
    root=\$1
    for place in /*; do
        case \$place in
            /bin | /boot | /etc | /lib | /lib[0-9]* | /libx* | /sbin | /usr | /var) continue ;;
        esac
        [ ! -d "\$place" ] || [ -h "\$place" ] || mount --rbind "\$place" "\$root\$place" || exit
    done
    mount --bind /var/tmp "\$root/var/tmp" && mount --bind /etc/hosts "\$root/etc/hosts" || exit
    PATH=/usr/sbin:/usr/bin:/sbin:/bin
    export PATH
    exec chroot "\$@"
' sh "$ROOT" $program "\$@"
WRAPPER
    chmod 755 "$FOLDER/bin/$name"
}

[ "$(uname)" = Linux ] || { say "Debian's RabbitMQ 4 runs on Linux only."; exit 1; }
[ -e "$DONE" ] || build
make_places
mkdir -p "$FOLDER/bin"
wrap rabbitmq-server /usr/lib/rabbitmq/bin/rabbitmq-server
wrap rabbitmqctl /usr/lib/rabbitmq/bin/rabbitmqctl  # for tests
# Found beside it (jupyter_aiqueue/node/find.py).
wrap erl /usr/bin/erl
wrap epmd /usr/bin/epmd
version=$(sed -n '/^Package: rabbitmq-server$/,/^$/s/^Version: //p' "$ROOT/var/lib/dpkg/status")
say "RabbitMQ $version: $FOLDER/bin/rabbitmq-server"
