//! Large contexts: many files, many bytes, readers, and being stopped.

use std::{
    fs::{self, File},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use berth::context::{
    CONFIG_MAP_MAX, ContextError, ContextHash, PackProgress, PackedContext, pack,
    pack_in_background,
};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::{Folder, packed};

/// Bytes that do not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..bytes.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(bytes)
        .collect()
}

async fn read(context: &PackedContext) -> Vec<u8> {
    let mut bytes = Vec::new();
    context.reader().read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn hash(bytes: &[u8]) -> ContextHash {
    ContextHash::new(Sha256::digest(bytes).into())
}

#[tokio::test]
async fn a_small_context_is_in_memory_and_can_be_read_as_well() {
    let context = Folder::new().pack();
    assert!(context.fits_config_map());
    let bytes = context.bytes().unwrap();
    assert_eq!(
        (bytes.len() as u64, hash(bytes)),
        (context.size(), context.hash())
    );
    assert_eq!(read(&context).await, *bytes);
    assert_eq!(read(&context).await, *bytes, "a second time");
}

#[tokio::test]
async fn a_large_context_is_in_a_file_and_read_any_number_of_times_at_once() {
    let context = Folder::new().file("noise", noise(3 * 1024 * 1024)).pack();
    assert!(context.size() > CONFIG_MAP_MAX && !context.fits_config_map());
    assert!(context.bytes().is_none());
    let mut begun = context.reader();
    let mut start = [0; 1000];
    begun.read_exact(&mut start).await.unwrap();
    let (first, second) = tokio::join!(read(&context), read(&context));
    assert_eq!(first.len() as u64, context.size());
    assert_eq!(hash(&first), context.hash());
    assert_eq!(first, second);
    drop(context);
    let mut rest = Vec::new();
    begun.read_to_end(&mut rest).await.unwrap();
    assert_eq!(
        [&start[..], &rest].concat(),
        first,
        "a reader outlives the context"
    );
}

#[test]
fn the_bound_of_a_config_map_is_met_exactly() {
    // Stored nearly as it is, noise makes an archive of a size that grows by one with its own.
    let folder = Folder::new();
    let noise = noise(1_100_000);
    let mut sizes = (1_000_000, noise.len());
    let size = |bytes: usize| {
        fs::write(folder.at("noise"), &noise[..bytes]).unwrap();
        folder.pack()
    };
    while sizes.1 - sizes.0 > 1 {
        let middle = usize::midpoint(sizes.0, sizes.1);
        if size(middle).size() <= CONFIG_MAP_MAX {
            sizes.0 = middle;
        } else {
            sizes.1 = middle;
        }
    }
    let (fits, does_not) = (size(sizes.0), size(sizes.1));
    assert!(fits.fits_config_map() && fits.bytes().is_some());
    assert!(!does_not.fits_config_map() && does_not.bytes().is_none());
}

#[test]
fn many_bytes_are_packed_chunk_by_chunk() {
    let folder = Folder::new();
    File::create(folder.at("sparse"))
        .unwrap()
        .set_len(64 * 1024 * 1024)
        .unwrap();
    let mut seen = Vec::new();
    let context = pack(&folder.source(), |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(context.unpacked_bytes(), 64 * 1024 * 1024 + 13 + 13 + 7);
    let steps = seen.windows(2).map(|pair| pair[1].bytes - pair[0].bytes);
    assert!(steps.max().unwrap() <= 64 * 1024);
    let last = seen.last().unwrap();
    assert_eq!(
        (last.entries, last.bytes),
        (last.entries_total, last.bytes_total)
    );
    assert_eq!(last.bytes_total, 64 * 1024 * 1024 + 13);
}

#[test]
fn a_hundred_thousand_files_are_packed_in_seconds() {
    let folder = Folder::in_memory()
        .file("Dockerfile", "FROM scratch\n")
        .file(".dockerignore", "**/*.log\n!keep/**/x.log\ntarget\n");
    for outer in 0..100 {
        let inner = folder.at(&format!("d{outer}/inner"));
        fs::create_dir_all(&inner).unwrap();
        for number in 0..1000 {
            fs::write(inner.join(format!("file-{number}")), "x").unwrap();
        }
    }
    let started = Instant::now();
    let context = packed(&folder.source()).unwrap();
    assert_eq!(context.files(), 100_000 + 4);
    // Far more than it takes, and far less than a quadratic step would.
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn packing_stops_when_it_is_told_to() {
    let folder = Folder::new().file("big", vec![1; 1024 * 1024]);
    let stops: [&dyn Fn(PackProgress) -> bool; 3] = [
        &|_| true,
        &|progress| progress.bytes > 100_000,
        &|progress| progress.entries == 2,
    ];
    for stop in stops {
        let result = pack(&folder.source(), |progress| {
            if stop(progress) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(result, Err(ContextError::Stopped)));
    }
}

#[tokio::test]
async fn packing_in_the_background_gives_the_same() {
    let folder = Folder::new().file("a", "a");
    let seen = Arc::new(AtomicU64::new(0));
    let noted = seen.clone();
    let context = pack_in_background(folder.source(), move |progress| {
        noted.fetch_max(progress.entries, Ordering::Relaxed);
    })
    .await
    .unwrap();
    assert_eq!(context.hash(), folder.pack().hash());
    assert_eq!(seen.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn packing_in_the_background_stops_when_nobody_waits_any_more() {
    let folder = Folder::new();
    for number in 0..50 {
        fs::write(folder.at(&format!("f{number}")), "x").unwrap();
    }
    // The packing waits for the word to go on, and then finds that nobody waits for it.
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let (ended, has_ended) = tokio::sync::oneshot::channel::<()>();
    let mut begun = Some(begun);
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let packing = pack_in_background(folder.source(), move |_| {
        let _until_dropped = &ended;
        counted.fetch_add(1, Ordering::Relaxed);
        if let Some(begun) = begun.take() {
            begun.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
    });
    let task = tokio::spawn(packing);
    has_begun.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    // Dropped with the closure, when the thread has left the packing.
    has_ended.await.unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
