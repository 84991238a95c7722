# The suite `debian13` of ./scripts/test: a host with Debian 13, in a root beside this machine's. Sourced.
#
# The kernel is this machine's; all programs are those of Debian 13: QEMU 10, Postgres 17, Redis 8 or Valkey, nftables 1.1,
# e2fsprogs 1.47. The programs under test are those that were built here, which a newer C library runs.

debian13_root=$WRENN_CACHE/debian13
# Both servers that can keep the queue of builds.
debian13_packages=("${run_packages[@]}" "${image_packages[@]}" busybox-static valkey-server)

# Beginnings of the names of end-to-end tests, none of which needs a network: each program and service of the host is used by one.
debian13_journey=(
    "doctor says what accelerates machines here and why"
    "a capsule starts and runs commands"
    "settings are those of a server"
    "a deleted capsule leaves nothing on the host"
    "a capsule reaches neither host nor guest daemon"
    "a recipe with every instruction becomes templates"
    "steps that are known are not carried out again"
    "capsules survive a killed agent"
    "measurements of a busy and an idle capsule are those of the host"
    "what is paused or running already stays so"
    "paused capsules survive the end of everything"
    "the first requests after a resume work"
    "capsules of a snapshot go on where it was made"
    "a flattened disk is small, and boots"
    "a web server in a capsule is used from outside"
    "ctrl-c leaves nothing but capsules"
    "a killed up takes its processes along"
    "down leaves nothing"
)

suite_debian13() {
    local lock
    mkdir -p "$debian13_root"
    # Runs wait for each other: one could put a new system in the place of that which another uses.
    exec {lock}>"$debian13_root/.lock"
    flock --timeout 3600 "$lock" || die "waited in vain for another run of the suite debian13"
    build_guest
    check "Debian 13: the system" make_debian13
    [[ -d $debian13_root/system ]] || return 0
    mkdir "$work/debian13"
    check "Debian 13: images" in_debian13 --network -- "$root/scripts/image" --out "$work/debian13/images" --guest-binary "$guest_binary"
    [[ -s $work/debian13/images/minimal.ext4 ]] || return 0
    export WRENN_IMAGES=$work/debian13/images
    check "Debian 13: real machines" test_in_debian13 machine "$root/agent"
    check "Debian 13: suspended machines" test_in_debian13 suspend "$root/agent"
    check "Debian 13: end to end" journey_in_debian13
    check "Debian 13: another QEMU, and Valkey" two_versions_in_debian13
}

# make_debian13: the system, in $debian13_root/system. It has a key of all that it is made from. Called within a condition, so it
# ends at its first failure by itself.
make_debian13() {
    local new key
    key=$({
        say "${debian13_packages[@]}"
        declare -f make_debian13 bootstrap
    } | sha256sum)
    [[ -d $debian13_root/system && $(cat "$debian13_root/.key" 2>/dev/null) == "$key" ]] && return
    clean_up_killed "$debian13_root"/.work.*
    new=$(mktemp -d "$debian13_root/.work.XXXXXX") || return
    bootstrap trixie "$new/system" --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --include="$(IFS=,; say "${debian13_packages[*]}")" || return
    rm -rf "$debian13_root/.key" "$debian13_root/system"
    mv "$new/system" "$debian13_root/system" || return
    say "$key" >"$debian13_root/.key"
    clean_up "$new"
}

# in_debian13 [OPTION…] -- COMMAND…: runs a command there, with this checkout, and what was built of it.
in_debian13() {
    local scratch=$work/debian13
    mkdir -p "$scratch/tmp"
    env -u DATABASE_URL -u REDIS_URL PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR="$scratch/tmp" WRENN_CACHE="$scratch/cache" \
        "$root/scripts/lib/enter" "$debian13_root/system" "$scratch" --read "$root" --read "$CARGO_TARGET_DIR" "$@"
}

# test_in_debian13 NAME FOLDER [OPTION…]: runs a program of tests there, from that folder.
test_in_debian13() {
    local program folder=$2
    program=$(test_program "$1") || return
    shift 2
    in_debian13 "$@" -- env --chdir="$folder" "$program"
}

journey_in_debian13() {
    WRENN_E2E=1 WRENN_E2E_FOLDER=$work/debian13/tmp WRENN_E2E_TESTS=$(printf '%s\n' "${debian13_journey[@]}") \
        test_in_debian13 e2e "$root/cli"
}

# two_versions_in_debian13: memory saved by either QEMU, Debian 13's and this machine's, is refused by the other. Redis is hidden
# meanwhile, so that Valkey has to do.
two_versions_in_debian13() {
    local other=$work/debian13/qemu-system-x86_64 libraries=/machine/lib/x86_64-linux-gnu
    # With the libraries of this machine, which lies below /machine; it is known by its name on the command line.
    cat >"$other" <<END
#!/bin/bash
export QEMU_MODULE_DIR=$libraries/qemu
exec -a qemu-system-x86_64 $libraries/ld-linux-x86-64.so.2 --library-path $libraries:$libraries/pulseaudio \\
    /machine/bin/qemu-system-x86_64 -L /machine/share/qemu -L /machine/share/seabios "\$@"
END
    chmod 755 "$other"
    WRENN_E2E=1 WRENN_E2E_FOLDER=$work/debian13/tmp WRENN_E2E_TESTS="memory stays with the version" WRENN_E2E_SECOND_QEMU=$other \
        test_in_debian13 e2e "$root/cli" --read /usr=/machine --hide /usr/bin/redis-server
}
