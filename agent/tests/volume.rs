//! The volume on this machine's real file systems.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "real machines, networks and disks take real time")]

mod host;

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use host::{DataDir, eventually, require, run};
use wrenn_agent::{
    disk::{Volume, VolumeSize},
    machines::Images,
};
use wrenn_proto::DEFAULT_DISK_MB;

const SIZE: VolumeSize = VolumeSize { max_bytes: 1 << 30, reserve_bytes: 0 };

fn required() {
    require(&["mkfs.xfs", "losetup", "resize2fs", "e2fsck", "mkfs.ext4"]);
}

#[tokio::test]
async fn a_volume_is_made_reopened_and_leaves_nothing() {
    required();
    let data = DataDir::new("volume");
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");
    let (free, capacity) = (volume.free_bytes().expect("free"), volume.capacity_bytes().expect("capacity"));
    assert!(SIZE.max_bytes / 2 < free && free < capacity, "{free} of {capacity}");
    let file = volume.path().join("file");
    fs::write(&file, "kept").expect("write");
    if volume.is_loop_mounted() {
        let left = data.leftovers();
        assert!(!left.mounts.is_empty() && left.loops.len() == 1, "{left:?}");
        assert!(capacity <= SIZE.max_bytes);
        assert_eq!(fs::metadata(data.0.join("volume.xfs")).expect("file").mode() & 0o777, 0o600);
    }

    let again = Volume::open_or_create(&data.0, SIZE).await.expect("open the open one");
    assert_eq!(fs::read_to_string(again.path().join("file")).expect("read"), "kept");
    for _ in 0..2 {
        Volume::unmount(&data.0).await.expect("unmount, also twice");
        data.assert_clean();
    }
    Volume::open_or_create(&data.0, SIZE).await.expect("open after unmount");
    assert_eq!(fs::read_to_string(&file).expect("read"), "kept");
    Volume::unmount(&data.0).await.expect("unmount");
    data.assert_clean();
}

#[tokio::test]
async fn a_loop_device_left_by_a_crash_is_used_again() {
    required();
    let data = DataDir::new("volume-crash");
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");
    if !volume.is_loop_mounted() {
        return;
    }
    Volume::unmount(&data.0).await.expect("unmount");
    let file = data.0.join("volume.xfs");
    run("losetup", &["--find", "--show", file.to_str().expect("path")]);
    Volume::open_or_create(&data.0, SIZE).await.expect("open");
    assert_eq!(data.leftovers().loops.len(), 1);
    Volume::unmount(&data.0).await.expect("unmount");
    data.assert_clean();
}

#[tokio::test]
async fn a_volume_in_use_is_not_unmounted_behind_its_users_back() {
    required();
    let data = DataDir::new("volume-busy");
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");
    if !volume.is_loop_mounted() {
        return;
    }
    let user = fs::File::create(volume.path().join("file")).expect("create");
    Volume::unmount(&data.0).await.expect_err("in use");
    drop(user);
    Volume::unmount(&data.0).await.expect("no longer in use");
    data.assert_clean();
}

#[tokio::test]
async fn images_are_imported_cloned_and_grown() {
    required();
    let data = DataDir::new("images");
    let source = data.0.join("source.ext4");
    fs::File::create(&source).expect("create").set_len(64 << 20).expect("length");
    run("mkfs.ext4", &["-q", "-F", source.to_str().expect("path")]);
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");

    let image = volume.path().join("image.ext4");
    volume.import(&source, &image).await.expect("import");
    let occupied = fs::metadata(&image).expect("metadata").blocks() * 512;
    assert!(occupied < 16 << 20, "an import stays sparse, this one occupies {occupied}");

    let disk = volume.path().join("disk.ext4");
    volume.clone_file(&image, &disk).await.expect("clone");
    volume.clone_file(&image, &disk).await.expect_err("a clone replaces nothing");
    // Twice: the second finds nothing to do.
    for _ in 0..2 {
        volume.grow_ext4(&disk, 512).await.expect("grow");
        assert_eq!(fs::metadata(&disk).expect("metadata").len(), 512 << 20);
    }
    run("e2fsck", &["-f", "-n", disk.to_str().expect("path")]);
    let told = run("dumpe2fs", &["-h", disk.to_str().expect("path")]);
    let blocks = told.lines().find_map(|line| line.strip_prefix("Block count:")).expect("block count").trim();
    let size = told.lines().find_map(|line| line.strip_prefix("Block size:")).expect("block size").trim();
    assert_eq!(blocks.parse::<u64>().expect("count") * size.parse::<u64>().expect("size"), 512 << 20);
    volume.grow_ext4(&disk, 100).await.expect("smaller than it is: stays");
    assert_eq!(fs::metadata(&disk).expect("metadata").len(), 512 << 20);
    assert_eq!(fs::metadata(&image).expect("metadata").len(), 64 << 20, "the original is untouched");

    Volume::unmount(&data.0).await.expect("unmount");
    data.assert_clean();
}

#[tokio::test]
async fn a_base_image_is_imported_as_large_as_most_disks_are() {
    required();
    let data = DataDir::new("import");
    let given = data.0.join("given");
    fs::create_dir_all(&given).expect("folder");
    let source = given.join("small.ext4");
    fs::File::create(&source).expect("create").set_len(64 << 20).expect("length");
    run("mkfs.ext4", &["-q", "-F", source.to_str().expect("path")]);
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");
    let folder = volume.path().join("images");
    fs::create_dir_all(&folder).expect("folder");
    // Of an older image, and of a crash while one was being imported.
    for name in ["small.ext4@1-1.000000001", ".small.ext4@1-2.000000001"] {
        fs::write(folder.join(name), "old").expect("write");
    }

    let images = Images::new(given, volume.clone(), wrenn_base::Clock::process());
    let image = images.get("small.ext4").await.expect("import");
    assert_eq!(fs::metadata(&image).expect("image").len(), u64::from(DEFAULT_DISK_MB) << 20);
    assert!(volume.occupied_bytes(&image).expect("occupied") < 128 << 20, "it stays sparse");
    assert_eq!(images.get("small.ext4").await.expect("again"), image);
    assert_eq!(fs::read_dir(&folder).expect("list").count(), 1, "nothing else may be left");
    run("e2fsck", &["-f", "-n", image.to_str().expect("path")]);
    assert_eq!(fs::metadata(&source).expect("source").len(), 64 << 20, "the original is untouched");
    Volume::unmount(&data.0).await.expect("unmount");
    data.assert_clean();
}

/// Writes files into an image as a guest would, deletes most of them, and leaves without unmounting: the copy has a
/// journal to replay.
fn use_image(image: &Path, mount_point: &Path, copy: impl FnOnce()) {
    let (image, point) = (image.to_str().expect("path"), mount_point.to_str().expect("path"));
    fs::create_dir_all(mount_point).expect("mount point");
    run("mount", &["-o", "loop,noatime", image, point]);
    let fill = format!(
        "cd {point} && for i in 1 2 3 4 5 6; do head -c 40000000 /dev/urandom > big$i; done && \
         head -c 20000000 /dev/urandom > keep && sync && rm big* && md5sum keep > sum && sync -f ."
    );
    run("sh", &["-c", &fill]);
    copy();
    run("umount", &[point]);
}

#[tokio::test]
async fn a_flattened_image_is_as_small_as_what_is_in_it_and_sound() {
    required();
    require(&["debugfs"]);
    let data = DataDir::new("flatten");
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");
    let (disk, copy) = (volume.path().join("disk.ext4"), volume.path().join("copy.ext4"));
    fs::File::create(&disk).expect("create").set_len(5 << 30).expect("length");
    run("mkfs.ext4", &["-q", "-F", disk.to_str().expect("path")]);
    let mount_point = data.0.join("mnt");
    let (from, to) = (disk.clone(), copy.clone());
    use_image(&disk, &mount_point, || {
        run("cp", &["--reflink=always", from.to_str().expect("path"), to.to_str().expect("path")]);
    });

    let before = volume.occupied_bytes(&copy).expect("occupied");
    let flattened = volume.flatten_ext4(&copy).await.expect("flatten");
    volume.sync_file(&copy).await.expect("sync");
    assert_eq!(fs::metadata(&copy).expect("metadata").len(), flattened.size_bytes);
    assert!(flattened.occupied_bytes < 40 << 20, "{flattened:?} with 20 MB in it, before it was {before}");
    assert!(volume.occupied_bytes(&copy).expect("occupied") <= flattened.occupied_bytes + (1 << 20));
    run("e2fsck", &["-f", "-n", copy.to_str().expect("path")]);

    // A disk that is made of it has all that was in it.
    volume.grow_ext4(&copy, 5120).await.expect("grow");
    run("e2fsck", &["-f", "-n", copy.to_str().expect("path")]);
    let point = mount_point.to_str().expect("path");
    run("mount", &["-o", "loop", copy.to_str().expect("path"), point]);
    run("sh", &["-c", &format!("cd {point} && md5sum -c sum && echo more > more && sync")]);
    run("umount", &[point]);
    let again = volume.flatten_ext4(&copy).await.expect("flatten again");
    assert!(again.occupied_bytes < 40 << 20, "{again:?}");
    run("e2fsck", &["-f", "-n", copy.to_str().expect("path")]);

    Volume::unmount(&data.0).await.expect("unmount");
    data.assert_clean();
}

#[tokio::test]
async fn what_cannot_be_flattened_is_an_error_and_one_that_is_given_up_ends() {
    required();
    let data = DataDir::new("flatten-bad");
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");
    let disk = volume.path().join("disk.ext4");
    fs::write(&disk, vec![0; 1 << 20]).expect("write");
    let error = volume.flatten_ext4(&disk).await.expect_err("no file system");
    assert_eq!(error.path, disk);
    volume.flatten_ext4(Path::new("/nonexistent")).await.expect_err("no file");

    fs::File::create(&disk).expect("create").set_len(5 << 30).expect("length");
    run("mkfs.ext4", &["-q", "-F", disk.to_str().expect("path")]);
    for wait_ms in [0, 1, 5, 20] {
        let limit = std::time::Duration::from_millis(wait_ms);
        let _ = tokio::time::timeout(limit, volume.flatten_ext4(&disk)).await;
    }
    let name = disk.to_str().expect("path").as_bytes().to_vec();
    let uses = || {
        let entries = fs::read_dir("/proc").expect("processes").flatten();
        let mut lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| line.windows(name.len()).any(|part| part == name))
    };
    eventually("no program works on it any more", async || !uses()).await;
    Volume::unmount(&data.0).await.expect("unmount");
    data.assert_clean();
}

#[tokio::test]
async fn a_copy_of_all_mounts_does_not_keep_the_volume() {
    required();
    require(&["unshare"]);
    let data = DataDir::new("volume-copied");
    let volume = Volume::open_or_create(&data.0, SIZE).await.expect("make");
    if !volume.is_loop_mounted() {
        return;
    }
    // As `ip netns exec` does it: a mount namespace that follows this one.
    let mut copy = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "slave", "sh", "-c", "echo ready; read wait"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("unshare");
    let mut ready = [0; 6];
    std::io::Read::read_exact(copy.stdout.as_mut().expect("stdout"), &mut ready).expect("ready");
    let unmounted = Volume::unmount(&data.0).await;
    copy.kill().and_then(|()| copy.wait()).expect("end the copy");
    unmounted.expect("unmount");
    data.assert_clean();
}
