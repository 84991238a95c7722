# What the scripts share: where things are, and how long steps are shown. Sourced, never run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export WRENN_CACHE=${WRENN_CACHE:-${HOME:-/root}/.cache/wrenn}
checkout=$(cksum <<<"$root" | cut -d' ' -f1)
# One folder per checkout: cargo tells the crates of two workspaces apart by the times of their files only, and would
# take what the other has built for its own.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$WRENN_CACHE/target-$checkout}
# Per script and checkout, so that a test beside a running `up` or another test does not write into its logs.
step_logs=$WRENN_CACHE/logs/${0##*/}-$checkout
# `sudo` forgets the user's path; rustup puts cargo there.
PATH=$PATH:${HOME:-/root}/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

need_root() {
    [[ $(id -u) == 0 ]] || die "must be root: it makes network namespaces and mounts (try: sudo $0)"
}

# step NAME COMMAND…: runs the command with its output in a log, says how long it has been going on, and shows
# the log's last lines if it fails. Steps of less than two seconds leave no trace but their one line.
step() {
    local name=$1 log begun pid status=0 shown=0
    shift
    mkdir -p "$step_logs"
    log=$(step_log "$name")
    begun=$SECONDS
    # In a process group of its own, so that with the command all that it started can be ended.
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    set +m
    trap 'kill -- "-$pid" 2>/dev/null; wait "$pid" 2>/dev/null; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        local elapsed=$((SECONDS - begun))
        # Most steps of a second start take no time at all.
        ((elapsed < 1)) && sleep 0.03 || sleep 0.3
        if [[ -t 1 ]]; then
            ((elapsed < 2)) || printf '\r  %s … %ds ' "$name" "$elapsed"
        elif ((elapsed >= 2 && (shown == 0 || elapsed - shown >= 30))); then
            say "  $name … ${elapsed}s"
            shown=$elapsed
        fi
    done
    wait "$pid" || status=$?
    trap - INT TERM
    [[ -t 1 ]] && printf '\r\033[K'
    if ((status != 0)); then
        say "  $name: failed after $((SECONDS - begun))s; the end of $log:"
        tail -n 40 "$log" | sed 's/^/    /'
        return "$status"
    fi
    say "  $name: done ($((SECONDS - begun))s)"
}

# step_log NAME: where the step of that name writes.
step_log() { say "$step_logs/${1//[^a-zA-Z0-9]/-}.log"; }

# fingerprint PATH…: one line that changes when a file below the paths is added, removed or written.
fingerprint() {
    find "$@" \( -name node_modules -o -name build -o -name .svelte-kit -o -name target \) -prune \
        -o -type f -printf '%p %s %T@\n' | LC_ALL=C sort | sha256sum | cut -d' ' -f1
}
