# Debian packages: which are needed, and how they are installed without starting anything. Sourced.

# Needed to build and run; the right column says what for.
run_packages=(
    build-essential   # linking
    ca-certificates
    cpio              # initramfs
    curl
    e2fsprogs         # ext4 images
    iproute2
    kmod
    mmdebstrap        # base image
    mount             # losetup
    nftables
    postgresql
    procps
    qemu-system-x86
    redis-server
    util-linux
    xfsprogs          # reflinks, where the disk has none
)
# Needed by ./scripts/image; some are above, too.
image_packages=(cpio e2fsprogs kmod lz4 mmdebstrap openssl xz-utils zstd)
# Needed by ./scripts/test on top.
# busybox-static: an editor that runs in any capsule. pebble: an ACME directory. prometheus: what reads the metrics, and
# promtool. tcpdump: what can be read on the way to a host.
test_packages=(busybox-static chromium jq pebble prometheus python3-venv tcpdump)

# install_packages NAME…: installs what is missing.
install_packages() {
    local missing=() name installed
    installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    for name in "$@"; do
        grep -qx "$name installed" <<<"$installed" || missing+=("$name")
    done
    ((${#missing[@]} == 0)) && return
    say "  missing Debian packages: ${missing[*]}"
    refresh_package_lists
    step "installing packages" install_quietly "${missing[@]}"
}

# A list that cannot be fetched matters only if a package is missing for it, which the next step says. On a machine
# that has just booted Debian's own timer holds the lock for a while.
refresh_package_lists() {
    step "refreshing the package lists" apt-get update -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 ||
        say "  going on with the package lists that are there"
}

# Installs without starting or enabling a service, and without Debian's own database cluster: Wrenn starts private
# ones. What makes that so is removed again afterwards.
install_quietly() {
    local policy=/usr/sbin/policy-rc.d drop_in=/etc/postgresql-common/createcluster.d/wrenn.conf
    local made_policy= unit
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made_policy=$policy
    fi
    mkdir -p "${drop_in%/*}"
    say 'create_main_cluster = false' >"$drop_in"
    # Runs in the background of `step`, so this trap is its own.
    # shellcheck disable=SC2064
    trap "rm -f '$drop_in' $made_policy" EXIT
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=600 "$@"
    for unit in postgresql redis-server; do
        if [[ " $* " == *" $unit "* ]] && command -v systemctl >/dev/null; then
            systemctl disable -q "$unit" || true
        fi
    done
}

# check_tools: Rust and Node do not come from Debian, whose versions are too old.
check_tools() {
    local rust node
    command -v cargo >/dev/null || die "cargo is missing: install the stable Rust toolchain (https://rustup.rs)"
    rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    older "$(rustc --version | cut -d' ' -f2)" "$rust" &&
        die "Rust $rust or newer is needed, this is $(rustc --version): rustup update stable"
    command -v npm >/dev/null || die "Node.js and npm are missing: install Node.js 20.19 or newer (https://nodejs.org)"
    node=$(node --version)
    older "${node#v}" 20.19 && die "Node.js 20.19 or newer is needed, this is $node (https://nodejs.org)"
    return 0
}

# older A B: whether version A comes before version B.
older() { [[ $1 != "$2" && $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1) == "$1" ]]; }
