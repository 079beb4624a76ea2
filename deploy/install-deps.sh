#!/usr/bin/env bash
# Installs the Debian 12 packages that SDG Nexus needs. Nothing is done, and no network is used, when they are all there.
#
# Usage: deploy/install-deps.sh [build] [test] [fuzz] [monitor] [shells]     (without arguments: build)
#   build  to build and run        test  to run the tests and benchmarks        fuzz  clang with libFuzzer
#   shells  to test completions and the man page with zsh, fish, mandoc and groff
#   monitor  to test metrics and dashboard: promtool (of prometheus) and Chromium, about 200 MB on a bare Debian 12
set -euo pipefail

BUILD="build-essential cmake ninja-build pkg-config libzmq3-dev libczmq-dev libcurl4-openssl-dev libmsgpack-dev
 libcyaml-dev libyaml-dev libsimdjson-dev libpcre2-dev libxxhash-dev libjemalloc-dev zlib1g-dev libzstd-dev libmicrohttpd-dev
 liblmdb-dev libsodium-dev python3"
TEST="libcriterion-dev clang-format python3-venv curl wrk nginx-light openssl zstd procps"
FUZZ="clang libclang-rt-14-dev"
MONITOR="prometheus chromium"
SHELLS="zsh fish mandoc groff-base"

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }

packages=""
[ $# -gt 0 ] || set -- build
for set in "$@"; do
    case "$set" in
        build) packages+=" $BUILD" ;;
        test) packages+=" $TEST" ;;
        fuzz) packages+=" $FUZZ" ;;
        monitor) packages+=" $MONITOR" ;;
        shells) packages+=" $SHELLS" ;;
        -h | --help) usage; exit 0 ;;
        *) echo "install-deps.sh: there is no set \"$set\"" >&2; usage >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "install-deps.sh: this script knows Debian only. Install by hand what corresponds to:$packages" >&2
    exit 1
fi

missing=""
for package in $packages; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=" $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps.sh: missing packages:$missing. Run as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

# Only programs are wanted of packages that bring a server along (nginx-light, prometheus): none is started now, and that of prometheus,
# which would listen on every address from the next start of the machine on, is masked. With and without systemd.
POLICY=/usr/sbin/policy-rc.d
keep_servers_down() {
    if [[ " $missing " == *" prometheus "* && -d /etc/systemd/system && ! -e /etc/systemd/system/prometheus.service ]]; then
        $as_root ln -s /dev/null /etc/systemd/system/prometheus.service
        echo "prometheus.service is masked: \`systemctl unmask prometheus\` if you want it to run"
    fi
    [ ! -e "$POLICY" ] || return 0
    trap '$as_root rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$POLICY" >/dev/null
    $as_root chmod 755 "$POLICY"
}

echo "Installing:$missing"
keep_servers_down
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@"; }
# The package lists may be too old or not there at all: then they are fetched and the installation is tried again.
# shellcheck disable=SC2086  # one word per package
if ! apt install -y --no-install-recommends $missing >/dev/null 2>&1; then
    apt update >/dev/null || echo "install-deps.sh: the package lists could not be fetched; trying with the old ones" >&2
    if ! apt install -y --no-install-recommends $missing; then
        echo "install-deps.sh: apt-get could not install:$missing (is there a network? is this Debian 12?)" >&2
        exit 1
    fi
fi
