//! Trees that come back as they were, and zips that were made to do harm.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use proptest::{collection::btree_map, collection::vec, prelude::*};

use super::*;

/// One entry as the bytes say it, whether or not any writer would produce it.
struct Raw<'a> {
    name: &'a [u8],
    /// The name in the local header, if it is another one.
    local_name: Option<&'a [u8]>,
    mode: u32,
    content: &'a [u8],
}

impl<'a> Raw<'a> {
    fn file(name: &'a [u8]) -> Self {
        Self { name, local_name: None, mode: 0o100_644, content: b"x" }
    }
}

/// A zip of stored entries, byte by byte.
fn raw_zip(entries: &[Raw<'_>]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    let short = |length: usize| u16::try_from(length).unwrap().to_le_bytes();
    let long = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    for Raw { name, local_name, mode, content } in entries {
        let at = zip.len();
        let local_name = local_name.unwrap_or(name);
        // Version needed 20, flag for UTF-8 names, stored, the time 1980-01-01.
        let middle = [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0];
        let sizes = [crc32(content).to_le_bytes(), long(content.len()), long(content.len())].concat();
        zip.extend([b"PK\x03\x04".as_slice(), &middle, &sizes, &short(local_name.len()), &[0, 0]].concat());
        zip.extend([local_name, content].concat());
        directory.extend([b"PK\x01\x02".as_slice(), &[20, 3], &middle, &sizes, &short(name.len())].concat());
        // No extra field, no comment, first disk, no internal attributes.
        directory.extend([0; 8]);
        directory.extend([(mode << 16).to_le_bytes().as_slice(), &long(at), name].concat());
    }
    let (at, count) = (zip.len(), short(entries.len()));
    zip.extend(&directory);
    let end = [b"PK\x05\x06".as_slice(), &[0; 4], &count, &count, &long(directory.len()), &long(at), &[0, 0]];
    zip.extend(end.concat());
    zip
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

fn unpacked(zip: &[u8], limits: Limits) -> Result<tempfile::TempDir, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let checked = inspect(Cursor::new(zip), limits);
    let result = unpack(Cursor::new(zip), &folder.path().join("in"), limits);
    assert_eq!(checked.is_ok(), result.is_ok(), "inspect and unpack disagree: {checked:?}, {result:?}");
    result.map(|()| folder)
}

fn packed(root: &Path) -> Result<(Packed, Vec<u8>), ArchiveError> {
    let mut zip = Cursor::new(Vec::new());
    pack_folder(root, &mut zip).map(|packed| (packed, zip.into_inner()))
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("a/deep/empty")).unwrap();
    fs::create_dir_all(root.join("a/.git/objects")).unwrap();
    fs::write(root.join(".git"), "gitdir: elsewhere").unwrap();
    fs::write(root.join("a/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("a/run.sh"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(root.join("ä b"), vec![7; 300_000]).unwrap();
    symlink("../ä b", root.join("a/link")).unwrap();

    let (packed_once, zip) = packed(root).unwrap();
    assert_eq!(packed_once.bytes, zip.len() as u64);
    assert_eq!(packed(root).unwrap(), (packed_once, zip.clone()));

    let out = unpacked(&zip, Limits::OWN).unwrap();
    let out = out.path().join("in");
    let mode = |name: &str| fs::symlink_metadata(out.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("a/run.sh"), mode("ä b")), (0o755, 0o644));
    assert!(out.join("a/deep/empty").is_dir());
    assert!(!out.join(".git").exists() && !out.join("a/.git").exists());
    assert_eq!(fs::read(out.join("a/link")).unwrap(), vec![7; 300_000]);

    let error = unpacked(&zip, Limits::FOREIGN).unwrap_err().to_string();
    assert_eq!(error, "entry `a/link` is refused: it is a symbolic link");
}

#[test]
fn folders_that_lead_outside_are_not_packed() {
    for target in ["/etc/passwd", "../outside", "a/../../outside", "a/../b"] {
        let folder = tempfile::tempdir().unwrap();
        symlink(target, folder.path().join("link")).unwrap();
        let error = packed(folder.path()).unwrap_err();
        assert!(matches!(&error, ArchiveError::Unpackable { name, .. } if name == "link"), "{target}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&folder.path().join("pipe\n"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = packed(folder.path()).unwrap_err().to_string();
    assert_eq!(error, r"`pipe\n` cannot be packed: it is a device, a pipe or a socket");
    assert!(matches!(packed(Path::new("/nowhere/at/all")), Err(ArchiveError::Io { .. })));
}

#[test]
fn hostile_names_are_refused_by_name() {
    let long = vec![b'a'; 5_000];
    let deep = b"a/".repeat(200);
    let cases: &[(&[u8], &str)] = &[
        (b"/etc/passwd", "absolute"),
        (b"../up", "`..`"),
        (b"a/../../up", "`..`"),
        (b"a/..", "`..`"),
        (b"./a", "`.`"),
        (b"a//b", "empty"),
        (b"", "empty"),
        (b"a\\..\\b", "backslash"),
        (b"a\0b", "NUL"),
        (b"C:evil", "drive"),
        (b"c:/evil", "drive"),
        (b"\xff\xfe", "UTF-8"),
        (&long, "too long"),
        (&deep, "disagree"),
    ];
    for (name, reason) in cases {
        let zip = raw_zip(&[Raw::file(b"fine"), Raw::file(name)]);
        let error = unpacked(&zip, Limits::OWN).unwrap_err().to_string();
        assert!(error.contains(reason), "{}: {error}", shown(name));
        assert!(!error.contains(char::is_control), "{error:?}");
    }
    let deep = Raw { mode: 0o040_755, content: b"", ..Raw::file(&deep) };
    assert!(unpacked(&raw_zip(&[deep]), Limits::OWN).unwrap_err().to_string().contains("too deep"));
}

/// Each way in which an entry can be made to lie elsewhere, be something else, or be no zip; with what must be told of it.
fn hostile_zips() -> Vec<(Vec<u8>, String)> {
    let names: &[&[u8]] = &[
        b"/",
        b"//",
        b"/a",
        b"//a",
        b"/etc/passwd",
        b"/proc/self/environ",
        b"..",
        b"../",
        b"../a",
        b"../../a",
        b"a/..",
        b"a/../",
        b"a/../b",
        b"a/../../b",
        b"a/b/../../../c",
        b"./a",
        b"a/./b",
        b"a/.",
        b".",
        b"./",
        b"a//b",
        b"a//",
        b"//a/b",
        b"a\\b",
        b"..\\a",
        b"\\a",
        b"\\\\host\\share",
        b"C:a",
        b"C:/a",
        b"C:\\a",
        b"z:",
        b"a\0",
        b"\0a",
        b"a\0/../b",
        b"\xff",
        b"a\xc0\xafb",
        b"\xed\xa0\x80",
        b"a/\xfe",
        b"\xc0\xae\xc0\xae/a",
        b"",
    ];
    let mut all = Vec::new();
    for name in names {
        // What ends with a slash is a folder.
        let (mode, content): (u32, &[u8]) = if name.ends_with(b"/") { (0o040_755, b"") } else { (0o100_644, b"x") };
        let entry = || Raw { mode, content, ..Raw::file(name) };
        all.push((raw_zip(&[entry()]), shown(name)));
        all.push((raw_zip(&[Raw::file(b"fine"), entry()]), shown(name)));
    }
    for kind in [0o010_000, 0o020_000, 0o060_000, 0o140_000, 0o110_000, 0o050_000, 0o160_000, 0o040_000] {
        for bits in [0o644, 0o777, 0o4_755, 0o7_777, 0] {
            all.push((raw_zip(&[Raw { mode: kind | bits, ..Raw::file(b"entry") }]), "entry".to_owned()));
        }
    }
    for target in [
        "",
        "/",
        "/etc",
        "//etc",
        "..",
        "../",
        "../x",
        "../../x",
        "./../x",
        "a/..",
        "a/../..",
        "a/../../x",
        "a\\b",
        "a\0b",
    ] {
        for name in ["link", "fine", "link2"] {
            let link = Raw { mode: 0o120_777, content: target.as_bytes(), ..Raw::file(name.as_bytes()) };
            all.push((raw_zip(&[link]), name.to_owned()));
        }
    }
    let good = raw_zip(&[Raw::file(b"a"), Raw::file(b"b/c")]);
    all.extend((0..good.len()).map(|length| (good[..length].to_vec(), "not valid".to_owned())));
    all
}

#[test]
fn hostile_zips_are_refused_by_the_name_of_their_entry() {
    let all = hostile_zips();
    for (zip, told) in &all {
        for limits in [Limits::OWN, Limits::FOREIGN] {
            let error = unpacked(zip, limits).expect_err(told).to_string();
            assert!(error.contains(told.as_str()), "{told}: {error}");
            assert!(error.len() < 1_000 && !error.contains(char::is_control), "{error:?}");
        }
    }
    println!("{} zips", all.len());
    assert!(all.len() >= 200);
}

#[test]
fn hostile_kinds_are_refused() {
    for kind in [0o010_000, 0o020_000, 0o060_000, 0o140_000] {
        let error = unpacked(&raw_zip(&[Raw { mode: kind | 0o644, ..Raw::file(b"dev") }]), Limits::OWN).unwrap_err();
        assert_eq!(error.to_string(), "entry `dev` is refused: it is a device, a pipe or a socket");
    }
    let folder_without_slash = Raw { mode: 0o040_755, ..Raw::file(b"a") };
    assert!(unpacked(&raw_zip(&[folder_without_slash]), Limits::OWN).is_err());
}

#[test]
fn hostile_links_are_refused() {
    let link = |name, content| Raw { mode: 0o120_777, content, ..Raw::file(name) };
    for target in [b"/etc".as_slice(), b"..", b"../x", b"a/../../x", b"a/..", b"", b"a\0", b"\xff", &[b'a'; 5_000]] {
        let error = unpacked(&raw_zip(&[link(b"l", target)]), Limits::OWN).unwrap_err();
        assert!(matches!(&error, ArchiveError::Refused { name, .. } if name == "l"), "{error}");
    }
    for inside in [b"x".as_slice(), b"./x/y", b"a/b/c"] {
        unpacked(&raw_zip(&[link(b"l", inside)]), Limits::OWN).unwrap();
    }
    unpacked(&raw_zip(&[link(b"a/b/l", b"../../x")]), Limits::OWN).unwrap();
    // Through a link, in either order.
    for entries in [[link(b"l", b"x"), Raw::file(b"l/evil")], [Raw::file(b"l/evil"), link(b"l", b"x")]] {
        assert!(matches!(unpacked(&raw_zip(&entries), Limits::OWN), Err(ArchiveError::Refused { .. })));
    }
    assert!(unpacked(&raw_zip(&[Raw::file(b"f"), Raw::file(b"f/below")]), Limits::OWN).is_err());
}

#[test]
fn a_name_that_stands_twice_or_differs_is_refused() {
    assert!(unpacked(&raw_zip(&[Raw::file(b"a"), Raw::file(b"a")]), Limits::OWN).is_err());
    let folder = Raw { mode: 0o040_755, content: b"", ..Raw::file(b"a/") };
    assert!(unpacked(&raw_zip(&[Raw::file(b"a"), folder]), Limits::OWN).is_err());
    let two_names = Raw { local_name: Some(b"b"), ..Raw::file(b"a") };
    assert!(unpacked(&raw_zip(&[two_names]), Limits::OWN).is_err());
}

#[test]
fn limits_hold_while_contents_stream() {
    let zeros = vec![0; 20 << 20];
    let bomb = pack_entries(&[("zeros", &zeros)]).unwrap();
    let error = unpacked(&bomb, Limits::FOREIGN).unwrap_err().to_string();
    assert!(error.contains("more than 200 times") && error.contains("`zeros`"), "{error}");
    unpacked(&bomb, Limits::OWN).unwrap();
    let error = unpacked(&bomb, Limits { bytes: 1_000, ..Limits::OWN }).unwrap_err().to_string();
    assert!(error.contains("longer than 1000 bytes"), "{error}");
    let many = pack_entries(&[("a", b""), ("b", b""), ("c", b"")]).unwrap();
    let error = unpacked(&many, Limits { entries: 2, ..Limits::OWN }).unwrap_err().to_string();
    assert!(error.contains("more than 2 entries"), "{error}");
}

#[test]
fn a_directory_that_promises_too_much_is_refused_before_it_is_read() {
    let mut zip = raw_zip(&[Raw::file(b"a")]);
    let end = zip.len() - 22;
    let locator = [b"PK\x06\x07".as_slice(), &[0; 16]].concat();
    zip.splice(end..end, locator);
    assert!(unpacked(&zip, Limits::OWN).unwrap_err().to_string().contains("zip64"));
}

#[test]
fn entries_are_read_by_name_up_to_a_limit() {
    let zip = pack_entries(&[("manifest.json", b"{}"), ("b", b"12345")]).unwrap();
    assert_eq!(read_entry(&zip, "manifest.json", 10).unwrap().as_deref(), Some(b"{}".as_slice()));
    assert_eq!(read_entry(&zip, "b", 5).unwrap().as_deref(), Some(b"12345".as_slice()));
    assert_eq!(read_entry(&zip, "c", 5).unwrap(), None);
    assert!(matches!(read_entry(&zip, "b", 4), Err(ArchiveError::TooLarge(_))));
    assert!(matches!(read_entry(b"no zip", "b", 4), Err(ArchiveError::Invalid(_))));
    assert!(pack_entries(&[("../b", b"")]).is_err());
    let mut damaged = zip.clone();
    let at = zip.windows(5).position(|window| window == b"12345").unwrap_or(45);
    damaged[at] ^= 1;
    assert!(unpacked(&damaged, Limits::OWN).is_err());
}

#[test]
fn what_others_stream_is_read() {
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    let options = zip::write::SimpleFileOptions::default();
    writer.add_directory("d", options).unwrap();
    writer.start_file("d/f", options).unwrap();
    writer.write_all(&[b'y'; 1_000]).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    let out = unpacked(&zip, Limits::FOREIGN).unwrap();
    assert_eq!(fs::read(out.path().join("in/d/f")).unwrap(), [b'y'; 1_000]);
}

#[test]
fn a_folder_need_not_be_marked_as_one() {
    for mode in [0, 0o100_644, 0o040_755] {
        let zip = raw_zip(&[Raw { mode, content: b"", ..Raw::file(b"d/") }, Raw { mode: 0, ..Raw::file(b"d/f") }]);
        let out = unpacked(&zip, Limits::FOREIGN).unwrap();
        assert_eq!(fs::read(out.path().join("in/d/f")).unwrap(), b"x");
    }
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "mine").unwrap();
    let zip = pack_entries(&[("a", b"theirs")]).unwrap();
    assert!(unpack(Cursor::new(&zip), folder.path(), Limits::OWN).is_err());
    assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "mine");
}

/// Entries under a few names that collide often, of every kind, good and bad.
fn entries() -> impl Strategy<Value = Vec<(String, u32, String)>> {
    let part = prop_oneof![Just("a"), Just("b"), Just("c"), Just(".."), Just("."), Just("")];
    let path = || vec(part.clone(), 1..4).prop_map(|parts| parts.join("/"));
    let mode = prop_oneof![Just(0o100_644_u32), Just(0o040_755), Just(0o120_777), Just(0), Just(0o010_644)];
    vec((path(), mode, path()), 0..6)
}

proptest! {
    #[test]
    fn trees_survive(tree in btree_map("[a-c]{1,2}(/[d-f]{1,2}){0,2}", vec(any::<u8>(), 0..50), 0..8)) {
        let folder = tempfile::tempdir().unwrap();
        let mut expected = BTreeMap::new();
        for (name, content) in tree {
            let path = folder.path().join(&name);
            // A name may already be a folder, or lie below a file.
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && fs::write(&path, &content).is_ok() {
                expected.insert(name, content);
            }
        }
        let (_, zip) = packed(folder.path()).unwrap();
        let out = unpacked(&zip, Limits::FOREIGN).unwrap();
        for (name, content) in expected {
            prop_assert_eq!(&fs::read(out.path().join("in").join(&name)).unwrap(), &content);
            prop_assert_eq!(read_entry(&zip, &name, 50).unwrap(), Some(content));
        }
    }

    #[test]
    fn nothing_ever_lands_outside(entries in entries()) {
        let raw: Vec<_> = entries
            .iter()
            .map(|(name, mode, content)| Raw { mode: *mode, content: content.as_bytes(), ..Raw::file(name.as_bytes()) })
            .collect();
        if let Ok(folder) = unpacked(&raw_zip(&raw), Limits::OWN) {
            prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            let root = folder.path().join("in").canonicalize().unwrap();
            for entry in walkdir::WalkDir::new(&root) {
                if let Ok(real) = entry.unwrap().path().canonicalize() {
                    prop_assert!(real.starts_with(&root), "{real:?}");
                }
            }
        }
    }

    #[test]
    fn changed_bytes_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut zip = raw_zip(&[Raw::file(b"a/b"), Raw { mode: 0o120_777, ..Raw::file(b"l") }]);
        let at = at.index(zip.len());
        zip[at] = byte;
        drop(unpacked(&zip, Limits::OWN));
        zip.truncate(cut.index(zip.len()));
        drop(unpacked(&zip, Limits::OWN));
    }
}
