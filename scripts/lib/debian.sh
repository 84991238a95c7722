# Debian systems in folders, made by mmdebstrap. Sourced.

# bootstrap SUITE FOLDER OPTION…: installs a Debian system in a folder. The mount points that an interrupted run leaves in it
# are for `clean_up`.
bootstrap() {
    local suite=$1 folder=$2 group
    shift 2
    # In a process group of its own: mmdebstrap only ends, and unmounts what it has mounted, when its children end.
    setsid env TMPDIR="${folder%/*}" mmdebstrap --mode=root --format=directory --variant=minbase "$@" "$suite" "$folder" &
    group=$!
    trap 'kill -- "-$group" 2>/dev/null; wait "$group"; exit 130' INT TERM
    wait "$group"
}

# clean_up FOLDER: removes a work folder, and first unmounts what an interrupted mmdebstrap may have left in it: removing
# files through a bind mount would remove the machine's own.
clean_up() {
    local mount_point
    while read -r mount_point; do
        umount -l "$mount_point" || true
    done < <(awk -v work="$1/" 'index($2, work) == 1 { print $2 }' /proc/mounts | sort -r)
    rm -rf --one-file-system "$1"
}

# clean_up_killed FOLDER…: removes the work folders of runs that were killed outright.
clean_up_killed() {
    local folder
    for folder in "$@"; do
        [[ ! -e $folder ]] || clean_up "$folder"
    done
}
