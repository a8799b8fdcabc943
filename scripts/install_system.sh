#!/usr/bin/env bash
# Installs those of the named programs that are missing, with the system's package manager:
#
#     scripts/install_system.sh python_venv rabbitmq chromium libatomic debootstrap
#
# Says what it installs. RabbitMQ is wanted as a program, not as a service: nothing is started,
# now or at the next boot, because a broker on the default ports is the owner's decision.
set -euo pipefail

PYTHON=${PYTHON:-python3}
POLICY=/usr/sbin/policy-rc.d
SAVED_POLICY=$POLICY.before-aiqueue

has_python_venv() {
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null
}

has_rabbitmq() {
    # Debian's wrapper in /usr/sbin is not on everybody's PATH; the server itself is here.
    [ -n "${AIQUEUE_RABBITMQ_SERVER:-}" ] ||
        [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] ||
        [ -x /opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server ] ||
        [ -x /usr/local/opt/rabbitmq/sbin/rabbitmq-server ] ||
        command -v rabbitmq-server >/dev/null
}

has_chromium() {
    [ -n "${AIQUEUE_CHROMIUM:-}" ] ||
        command -v chromium ||
        command -v chromium-browser ||
        command -v google-chrome
} >/dev/null

# The browser driver that Playwright brings is linked with it; small installations lack it.
has_libatomic() {
    [ "$(uname)" != Linux ] || /sbin/ldconfig -p | grep -F libatomic.so.1 >/dev/null
}

has_debootstrap() {
    [ -x /usr/sbin/debootstrap ] || command -v debootstrap >/dev/null
}

debian_package() {
    case $1 in
        python_venv) "$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])' ;;
        rabbitmq) echo rabbitmq-server ;;
        chromium) echo chromium ;;
        libatomic) echo libatomic1 ;;
        debootstrap) echo debootstrap debian-archive-keyring ;;
    esac
}

other_hint() {
    case $1 in
        python_venv) echo "Python's venv module (a Python from python.org, Homebrew or conda has it)" ;;
        rabbitmq) echo "RabbitMQ (brew install rabbitmq; dnf install rabbitmq-server; conda install -c conda-forge rabbitmq-server)" ;;
        chromium) echo "Chromium (brew install --cask chromium; dnf install chromium)" ;;
        libatomic) echo "libatomic (dnf install libatomic)" ;;
        debootstrap) echo "debootstrap (dnf install debootstrap)" ;;
    esac
}

say() { echo "==> $*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

services_are_denied() {
    local answer=0
    [ -x "$POLICY" ] || return 1
    "$POLICY" rabbitmq-server start >/dev/null 2>&1 || answer=$?
    [ "$answer" -eq 101 ]
}

# Debian starts what it installs unless policy-rc.d answers 101 ("forbidden").
deny_services() {
    services_are_denied && return
    trap restore_policy EXIT
    if [ -e "$POLICY" ]; then as_root mv "$POLICY" "$SAVED_POLICY"; fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

restore_policy() {
    as_root rm -f "$POLICY"
    if [ -e "$SAVED_POLICY" ]; then as_root mv "$SAVED_POLICY" "$POLICY"; fi
}

keep_off_at_boot() {
    command -v systemctl >/dev/null || return 0
    as_root systemctl --quiet disable "$@"
    say "RabbitMQ is installed but not started, and does not start at boot" \
        "('systemctl enable --now rabbitmq-server' would change that)."
}

install_with_apt() {
    local packages=() units=() program names
    for program in "$@"; do
        read -ra names <<<"$(debian_package "$program")"
        packages+=("${names[@]}")
        if [ "$program" = rabbitmq ]; then
            units+=(rabbitmq-server.service)
            command -v epmd >/dev/null || units+=(epmd.service epmd.socket)
        fi
    done
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        say "Missing: ${packages[*]}. Run as root: apt-get install ${packages[*]}"
        exit 1
    fi
    say "Installing with apt-get: ${packages[*]}"
    deny_services
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
    if [ ${#units[@]} -gt 0 ]; then keep_off_at_boot "${units[@]}"; fi
}

missing=()
for program in "$@"; do
    "has_$program" || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if command -v apt-get >/dev/null; then
    install_with_apt "${missing[@]}"
else
    say "Please install first:"
    for program in "${missing[@]}"; do say "  $(other_hint "$program")"; done
    exit 1
fi

for program in "${missing[@]}"; do
    "has_$program" || { say "$program is still missing after the installation."; exit 1; }
done
