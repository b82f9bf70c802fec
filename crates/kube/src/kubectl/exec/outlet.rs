//! Where a command's output goes: its first bytes are kept, all of it is passed on.

use super::super::super::{Captured, ExecSink, Partial, Stream};

pub(super) struct Outlet {
    sink: Option<Box<dyn ExecSink>>,
    keep: usize,
    kept: Partial,
}

impl Outlet {
    pub(super) fn new(sink: Option<Box<dyn ExecSink>>, keep: usize) -> Self {
        Self {
            sink,
            keep,
            kept: Partial::default(),
        }
    }

    pub(super) async fn write(&mut self, stream: Stream, part: &[u8]) -> std::io::Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let captured = match stream {
            Stream::Stdout => &mut self.kept.stdout,
            Stream::Stderr => &mut self.kept.stderr,
        };
        keep(captured, part, self.keep);
        match &mut self.sink {
            Some(sink) => sink.write(stream, part).await,
            None => Ok(()),
        }
    }

    pub(super) fn has_stdout(&self) -> bool {
        let stdout = &self.kept.stdout;
        !stdout.bytes.is_empty() || stdout.cut > 0
    }

    pub(super) fn take_kept(&mut self) -> Partial {
        std::mem::take(&mut self.kept)
    }

    pub(super) fn into_kept(self) -> Partial {
        self.kept
    }
}

fn keep(captured: &mut Captured, part: &[u8], bound: usize) {
    let room = bound.saturating_sub(captured.bytes.len()).min(part.len());
    let (kept, cut) = part.split_at(room);
    captured.bytes.extend_from_slice(kept);
    captured.cut += cut.len() as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_are_kept_and_the_others_counted() {
        let mut captured = Captured::default();
        for part in ["hello ", "world", "!"] {
            keep(&mut captured, part.as_bytes(), 8);
        }
        assert_eq!((captured.to_text().as_str(), captured.cut), ("hello wo", 4));
    }
}
