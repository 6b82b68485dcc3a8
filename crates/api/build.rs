//! Makes a table of the built page (`ui/dist`) for `src/page.rs`: path, type, ETag, bytes, and the
//! bytes compressed once, at the best level. Without `ui/dist` the table is empty and the server
//! shows a notice; the page is never built from here.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> io::Result<()> {
    let variable = |name| env::var(name).expect("cargo sets it for build scripts");
    let dist = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-changed=build.rs");
    // A folder that is not there yet is seen to appear by watching the one above it.
    let watched = if dist.is_dir() {
        &dist
    } else {
        dist.parent().unwrap_or(&dist)
    };
    println!("cargo::rerun-if-changed={}", watched.display());

    let mut files = Vec::new();
    if dist.is_dir() {
        collect(&dist, &mut files)?;
        files.sort();
    }
    let mut table = String::from("static FILES: &[File] = &[\n");
    for (at, file) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", file.display());
        let path = file.strip_prefix(&dist).expect("collected below dist");
        let entry = entry(&out, at, file, &path.to_string_lossy())?;
        table.push_str(&entry);
    }
    table.push_str("];\n");
    fs::write(out.join("page_files.rs"), table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn entry(out: &Path, at: usize, file: &Path, path: &str) -> io::Result<String> {
    let bytes = fs::read(file)?;
    if path == "index.html" {
        std::str::from_utf8(&bytes).map_err(io::Error::other)?;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&bytes)?;
    let gzip = encoder.finish()?;
    let mut entry = String::from("File {");
    let _ = write!(entry, "path: {:?}, ", format!("/{path}"));
    let _ = write!(entry, "mime: {:?}, ", mime(path));
    let _ = write!(entry, "etag: {:?}, ", format!("\"{:016x}\"", fnv(&bytes)));
    let _ = write!(entry, "plain: include_bytes!({:?}), ", file.canonicalize()?);
    if gzip.len() < bytes.len() {
        let packed = out.join(format!("page_{at}.gz"));
        fs::write(&packed, gzip)?;
        let _ = write!(entry, "gzip: Some(include_bytes!({packed:?}))");
    } else {
        entry.push_str("gzip: None");
    }
    entry.push_str("},\n");
    Ok(entry)
}

fn mime(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// FNV-1a: tells versions of a file apart, no more.
fn fnv(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(start, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
