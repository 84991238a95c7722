# The parts that are built: guest, dashboard, images. Sourced. Each is skipped when it is up to date.

# The guest is linked statically and for size; a folder of its own keeps cargo from building everything else anew.
guest_target=$CARGO_TARGET_DIR/guest
guest_binary=$guest_target/x86_64-unknown-linux-gnu/guest/wrenn-guest

build_guest() {
    RUSTFLAGS='-C target-feature=+crt-static' step "building the guest daemon" \
        cargo build --locked --manifest-path "$root/Cargo.toml" -p wrenn-guest --profile guest \
        --target x86_64-unknown-linux-gnu --target-dir "$guest_target"
}

# npm_install: brings node_modules to what the lock file says.
npm_install() {
    local lock=$root/frontend/package-lock.json stamp=$root/frontend/node_modules/.wrenn-lock
    cmp -s "$lock" "$stamp" && return
    step "installing the dashboard's packages" npm --prefix "$root/frontend" ci --no-audit --no-fund
    cp "$lock" "$stamp"
}

build_dashboard() {
    local stamp=$root/frontend/node_modules/.wrenn-build now
    now=$(fingerprint "$root/frontend")
    [[ -e $root/frontend/build/index.html && $(cat "$stamp" 2>/dev/null) == "$now" ]] && return
    npm_install
    step "building the dashboard" npm --prefix "$root/frontend" run build
    say "$now" >"$stamp"
}

build_images() {
    WRENN_GUEST=$guest_binary "$root/scripts/image"
}
