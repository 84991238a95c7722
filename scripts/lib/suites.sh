# The suites of ./scripts/test. Sourced; `work` is a folder for everything that they make, `wrenn` the binary.

results=()
passes=0
failures=0

# check NAME COMMAND…: a step that is counted, and whose failure does not end the run.
check() {
    local begun=$SECONDS outcome=passed name output line
    step "$@" || outcome=FAILED
    results+=("$(printf '%-7s %4ds  %s%s' "$outcome" $((SECONDS - begun)) "$1" "$(test_counts "$1")")")
    [[ $outcome == passed ]] && passes=$((passes + 1)) && return
    failures=$((failures + 1))
    # The summary names the tests and the reasons: often nothing but the end of the output is kept.
    while IFS= read -r name; do
        results+=("$(printf '%14s  %s' '' "$name")")
        output=$(failed_test_output "$1" "$name")
        sed 's/^/    /' <<<"$output"
        while IFS= read -r line; do
            results+=("$(printf '%14s    %.300s' '' "$line")")
        done < <(grep -A 2 -m 1 'panicked at' <<<"$output")
    done < <(failed_tests "$1")
}

# failed_tests NAME: the tests that failed in that step, one to a line.
failed_tests() {
    sed -nE 's/^test (.*) \.\.\. FAILED$/\1/p' "$(step_log "$1")" | sort -u
}

# failed_test_output NAME TEST: what the test printed before it failed, at most 60 lines.
failed_test_output() {
    awk -v begin="---- $2 stdout ----" '
        $0 == begin { on = 1 }
        on && $0 != begin && (/^---- .* stdout ----$/ || /^failures:$/) { exit }
        on && ++lines <= 60' "$(step_log "$1")"
}

# test_counts NAME: how many tests cargo ran in that step, if it did.
test_counts() {
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
        END { if (NR && passed + failed) printf ": %d tests passed, %d failed, %d ignored", passed, failed, ignored }' \
        "$(step_log "$1")"
}

summarize() {
    printf '\nSummary\n'
    printf '  %s\n' "${results[@]}"
    printf '\n%d passed, %d failed\n' "$passes" "$failures"
    ((failures == 0))
}

# --- what the suites need -----------------------------------------------------------------------------------------

services_pid=

# start_services: a private Postgres and Redis, whose addresses are in the environment afterwards.
start_services() {
    "$wrenn" services --data "$work/services" --ephemeral --print-env "$work/services.env" >"$work/services.log" 2>&1 &
    services_pid=$!
    step "starting Postgres and Redis" wait_for 60 test -s "$work/services.env" || die "$(cat "$work/services.log")"
    source "$work/services.env"
}

# agent_addr: an address for agents that no other run on this machine has, since the port is part of it. The machine gets it
# with the network that a test makes for an agent.
agent_addr() {
    local port
    port=$(free_port)
    printf '10.214.%d.%d:%d\n' $((port / 256)) $((port % 256)) "$port"
}

# start_system: the whole system on a port and a data folder of its own; it goes on running. Agents reach it at WRENN_AGENT_ADDR.
start_system() {
    # The databases of the other tests are not its own.
    env -u DATABASE_URL -u REDIS_URL WRENN_DATA="$work/system" WRENN_HTTP_ADDR="127.0.0.1:$(free_port)" \
        WRENN_GRPC_ADDR="0.0.0.0:${WRENN_AGENT_ADDR#*:}" WRENN_GRPC_PUBLIC_ADDR="$WRENN_AGENT_ADDR" \
        "$wrenn" up >"$work/up.log" 2>&1 &
    wait_for 240 grep -q '^Wrenn is ready' "$work/up.log" || { cat "$work/up.log"; return 1; }
}

# wait_for SECONDS COMMAND…: runs the command until it succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < until)) || { echo "waited in vain for: $*"; return 1; }
        sleep 0.2
    done
}

free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

# take_down: whatever was started, and whatever the end-to-end tests may have left when they were killed.
take_down() {
    local data
    set +e
    trap '' INT TERM
    for data in "$work"/system "$work"/wrenn-e2e-*/data "$work"/wrenn-e2e-*/*/data; do
        [[ -d $data ]] && WRENN_DATA=$data "$wrenn" down --purge >>"$work/down.log" 2>&1
    done
    [[ $services_pid ]] && kill "$services_pid" 2>/dev/null && wait "$services_pid"
    rm -rf --one-file-system "$work"
}

# --- the suites ---------------------------------------------------------------------------------------------------

suite_style() {
    check "formatting" cargo fmt --all --check
    check "scripts" bash_syntax
    check "prose" scripts/prose
    check "circles of modules" scripts/circles
    SQLX_OFFLINE=true check "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings
}

bash_syntax() {
    local script
    for script in scripts/{up,test,wrenn,image,sqlx,prose,circles,openapi} .ci/run scripts/lib/{enter,*.sh}; do
        bash -n "$script" || return
    done
}

suite_offline() {
    check "offline query data" scripts/sqlx --check
}

suite_interface() {
    check "OpenAPI document" openapi_is_fresh
    check "the dashboard's client" npm --prefix frontend run generate:check
}

openapi_is_fresh() {
    "$wrenn" openapi >"$work/openapi.json"
    diff -u frontend/openapi.json "$work/openapi.json" || {
        echo "frontend/openapi.json is not what the code says; ./scripts/openapi writes it anew"
        return 1
    }
}

# Generated requests by the OpenAPI document, with a fixed seed: no server error, and no answer outside the document. Their
# number is fixed, so a slow machine makes the same ones; the time limit is for a server that hangs.
schemathesis_version=4.32.5
schemathesis=$WRENN_CACHE/schemathesis-$schemathesis_version
suite_contract() {
    step "installing schemathesis" install_schemathesis || die "see $(step_log "installing schemathesis")"
    check "requests by the OpenAPI document" probe_interface
}

install_schemathesis() {
    [[ -x $schemathesis/bin/schemathesis ]] && return
    rm -rf "$schemathesis.new" && python3 -m venv "$schemathesis.new" &&
        "$schemathesis.new/bin/pip" install --quiet "schemathesis==$schemathesis_version" || return
    # Scripts in it name its path.
    rm -rf "$schemathesis" && sed -i "s#$schemathesis.new#$schemathesis#g" "$schemathesis.new"/bin/schemathesis &&
        mv "$schemathesis.new" "$schemathesis"
}

# probe_interface: a server without hosts, its first user, who administers it, and what could end that user left out.
probe_interface() {
    local port url database pid token outcome=0
    port=$(free_port) database=wrenn_contract_$$
    psql -q "$DATABASE_URL" -c "CREATE DATABASE $database"
    url=$(sed -E "s#^(postgres(ql)?://[^/]*/)[^?]*#\1$database#" <<<"$DATABASE_URL")
    DATABASE_URL=$url WRENN_HTTP_ADDR=127.0.0.1:$port WRENN_GRPC_ADDR=unix:$work/contract.sock \
        WRENN_OBJECTS=$work/contract-objects "$wrenn" server >"$work/contract.log" 2>&1 &
    pid=$!
    wait_for 30 curl -fs -o /dev/null "127.0.0.1:$port/health" || { cat "$work/contract.log"; return 1; }
    token=$(curl -fsS "127.0.0.1:$port/v1/auth/signup" -H 'content-type: application/json' \
        -d '{"email": "ada@example.org", "password": "correct horse", "name": "Ada"}' | jq -r .token)
    # Streams of events have no schema that a whole answer could be held against.
    (cd "$work" && timeout 180 "$schemathesis/bin/schemathesis" --config-file "$root/scripts/lib/schemathesis.toml" run "http://127.0.0.1:$port/openapi.json" \
        --header "Authorization: Bearer $token" --phases examples,coverage,fuzzing \
        --exclude-path-regex '^/v1/(auth/logout|me|me/password|me/totp.*|admin/settings/token-key|admin/users/\{id\}/(admin|active)|.*builds/\{id\}/logs|(admin/)?events)$') || outcome=1
    kill "$pid" && wait "$pid"
    grep -E 'panicked|internal_error' "$work/contract.log" && outcome=1
    psql -q "$DATABASE_URL" -c "DROP DATABASE IF EXISTS $database"
    return "$outcome"
}

suite_dashboard() {
    check "dashboard: lint" npm --prefix frontend run lint
    check "dashboard: types" npm --prefix frontend run check
    check "dashboard: unit tests" npm --prefix frontend test
}

# What a machine boots, once for all suites; a failure is a line of the summary.
machine_parts_made=
machine_parts() {
    [[ $machine_parts_made ]] || check "guest and images" build_machine_parts
    machine_parts_made=yes
}
build_machine_parts() { build_guest && build_images; }

suite_rust() {
    # The agent's tests boot machines of their own.
    machine_parts
    # Hostile inputs for a minute; the readers of recipes and archives share it.
    SQLX_OFFLINE=true WRENN_GUEST=$guest_binary WRENN_FUZZ_SEC=${WRENN_FUZZ_SEC:-60} \
        check "cargo test" cargo test --locked --workspace --no-fail-fast
}

# test_program NAME: path of that program of tests, as it was built with the others: asked for the one alone, cargo would build
# half of it anew with other features of its dependencies.
test_program() {
    local program
    program=$(SQLX_OFFLINE=true cargo test --locked --workspace --no-run --message-format=json 2>/dev/null |
        jq -r --arg name "$1" 'select(.profile.test and .target.name == $name).executable')
    [[ -x $program ]] || { echo "cargo made no program of the tests $1" >&2; return 1; }
    say "$program"
}

suite_e2e() {
    machine_parts
    check "end to end" run_end_to_end
}

# Debian's packages in capsules: half an hour and more, and the network, so not a part of all tests.
suite_packages() {
    machine_parts
    step "fetching packages for capsules" make_package_archives "$work/packages" || die "see $(step_log "fetching packages for capsules")"
    export WRENN_E2E_PACKAGES=$work/packages
    check "packages" run_end_to_end "packages: "
}

# run_end_to_end [NAME]: all of them, or those whose names contain this.
run_end_to_end() {
    local program
    program=$(test_program e2e) || return
    (cd "$root/cli" && WRENN_E2E=1 WRENN_E2E_FOLDER=$work "$program" "$@")
}

suite_browser() {
    machine_parts
    WRENN_AGENT_ADDR=$(agent_addr)
    # Leftovers of hosts that the tests make are removed with everything else.
    export WRENN_AGENT_ADDR WRENN_BINARY=$wrenn WRENN_E2E_FOLDER=$work
    check "system for the browser" start_system
    [[ -s $work/system/dev.env ]] || return 0
    set -a
    source "$work/system/dev.env"
    set +a
    check "browser" npm --prefix frontend run e2e
}
