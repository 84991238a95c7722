# packages: squashfs-tools cryptsetup-bin lvm2 xfsprogs btrfs-progs dosfstools
# Disks within files: squashed, encrypted, in volumes, of other filesystems.
mkdir /files /mnt/squashed && echo text >/files/note
mksquashfs /files /files.squashfs -quiet -no-progress
mount -o loop /files.squashfs /mnt/squashed && [ "$(cat /mnt/squashed/note)" = text ]
truncate -s 32M /encrypted
echo secret >/key
cryptsetup luksFormat --batch-mode --pbkdf-memory 65536 --iter-time 50 --key-file /key /encrypted
cryptsetup open --key-file /key /encrypted opened
mkfs.ext4 -q /dev/mapper/opened
for kind in xfs btrfs vfat; do
    truncate -s 400M "/$kind" && "mkfs.$kind" "/$kind" >/dev/null
    mkdir "/mnt/$kind" && mount -o loop "/$kind" "/mnt/$kind" && echo text >"/mnt/$kind/note"
done
modprobe zram && echo 16M >/sys/block/zram0/disksize && mkswap -q /dev/zram0 && swapon /dev/zram0
grep zram0 /proc/swaps
