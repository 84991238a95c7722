# The packages that capsules are tried with (cli/tests/packages/), from the archive to the disk of this machine. Sourced.

# Steps end at their first failure by themselves: bash does not do that for what is called within a condition.
#
# make_package_archives FOLDER: an archive of Debian packages for each case: those that its first line names, and what these depend
# on beyond what the base image has. What was downloaded stays in the cache.
make_package_archives() {
    local folder=$1 cache=$WRENN_CACHE/packages script name options
    mkdir -p "$folder" "$cache/partial" || return
    # The base image says what it has; apt works out the rest for it, by the lists of this machine.
    debugfs -R "dump /var/lib/dpkg/status $folder/status" "$WRENN_IMAGES/minimal.ext4"
    [[ -s $folder/status ]] || { echo "the base image does not say what it has"; return 1; }
    options=(-qq -y --no-install-recommends -o "Dir::State::status=$folder/status" -o "Dir::Cache::archives=$cache"
        -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    for script in "$root"/cli/tests/packages/*.sh; do
        name=$(basename "$script" .sh)
        read -r -a packages < <(sed -n 's/^# packages: //p' "$script")
        apt-get install "${options[@]}" --download-only "${packages[@]}" || return
        # With an empty cache, it lists all of them: address, name, size, digest.
        apt-get install "${options[@]}" -o "Dir::Cache::archives=$folder" --print-uris "${packages[@]}" |
            cut -d' ' -f2 >"$folder/$name.list" || return
        [[ -s $folder/$name.list ]] || { echo "nothing is to be installed for $name"; return 1; }
        tar -C "$cache" -cf "$folder/$name.tar" -T "$folder/$name.list" || return
    done
}
