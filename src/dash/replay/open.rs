//! Opens a recording: a file, the standard input or the one that ships inside; plain, gzip or Zstandard.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::{Input, Lines, Player};
use crate::dash::demo;

/// First bytes of gzip (RFC 1952) and of a Zstandard frame (RFC 8878).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTANDARD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Opens `path` (`-`: standard input), or the recording that ships inside. Returns its player and its name.
///
/// # Errors
/// It cannot be read, or is no recording of this kit: the reason names the first bad line.
pub fn open(path: Option<&Path>) -> Result<(Player, String)> {
    let (input, name): (Box<dyn Input>, _) = match path {
        None => (Box::new(Cursor::new(demo::recording()?)), "demo".to_owned()),
        Some(path) if path == Path::new("-") => {
            (Box::new(Stream::Unread(io::stdin())), "standard input".to_owned())
        }
        Some(path) => {
            let file =
                File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let input = of_file(file).with_context(|| format!("cannot read {}", path.display()))?;
            (input, path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        }
    };
    let player = Player::new(Lines::new(input))
        .with_context(|| path.map_or(name.clone(), |path| path.display().to_string()))?;
    Ok((player, name))
}

/// Plain files can be read again from anywhere; all else is read once.
fn of_file(mut file: File) -> io::Result<Box<dyn Input>> {
    if !file.metadata()?.is_file() {
        return Ok(Box::new(Stream::Unread(file)));
    }
    let (_, kind) = sniff(&mut file)?;
    file.rewind()?;
    Ok(if kind == Kind::Plain { Box::new(file) } else { Box::new(Stream::Unread(file)) })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zstandard,
}

/// The first bytes, and what they say of the rest.
fn sniff(input: &mut impl Read) -> io::Result<(Vec<u8>, Kind)> {
    let mut head = Vec::new();
    input.take(ZSTANDARD.len() as u64).read_to_end(&mut head)?;
    let kind = match head.as_slice() {
        head if head.starts_with(GZIP) => Kind::Gzip,
        head if head.starts_with(ZSTANDARD) => Kind::Zstandard,
        _ => Kind::Plain,
    };
    Ok((head, kind))
}

/// What can be read once from front to back. Its format shows with the first bytes, which may be long in
/// coming.
enum Stream<R> {
    Unread(R),
    Plain(Cursor<Vec<u8>>, R),
    Decoded(Box<dyn Read + Send>),
    Failed,
}

impl<R: Input + 'static> Stream<R> {
    fn begin(mut input: R) -> io::Result<Self> {
        let (head, kind) = sniff(&mut input)?;
        let head = Cursor::new(head);
        Ok(match kind {
            Kind::Plain => Self::Plain(head, input),
            Kind::Gzip => {
                let input = BufReader::new(head.chain(input));
                Self::Decoded(Box::new(MultiGzDecoder::new(input)))
            }
            Kind::Zstandard => {
                let input = Some(BufReader::new(head.chain(input)));
                Self::Decoded(Box::new(Frames { decoder: None, input }))
            }
        })
    }
}

impl<R: Input + 'static> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self, Self::Unread(_))
            && let Self::Unread(input) = std::mem::replace(self, Self::Failed)
        {
            *self = Self::begin(input)?;
        }
        match self {
            Self::Plain(head, rest) => match head.read(buffer)? {
                0 => rest.read(buffer),
                read => Ok(read),
            },
            Self::Decoded(input) => input.read(buffer),
            Self::Unread(_) | Self::Failed => Ok(0),
        }
    }
}

impl<R: Input + 'static> Input for Stream<R> {
    fn is_quiet(&self) -> bool {
        match self {
            Self::Unread(input) => input.is_quiet(),
            Self::Plain(head, input) => {
                head.position() == head.get_ref().len() as u64 && input.is_quiet()
            }
            Self::Decoded(_) | Self::Failed => false,
        }
    }
}

/// Zstandard frames one after the other, as `zstd -c >> FILE` appends them.
struct Frames<R: Read> {
    decoder: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
    /// Between two frames.
    input: Option<R>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut decoder) = self.decoder.take() {
                let read = decoder.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    self.decoder = Some(decoder);
                    return Ok(read);
                }
                self.input = Some(decoder.into_inner());
            }
            let Some(mut input) = self.input.take() else { return Ok(0) };
            if input.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.decoder = Some(StreamingDecoder::new(input).map_err(io::Error::other)?);
        }
    }
}
