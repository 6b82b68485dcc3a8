//! File names as the configuration means them: relative to the file that names them, and globs by
//! Go's rules (`*` and `?` stop at a slash, `[a-z]`, `\` escapes), because users' globs were
//! written for those.

use std::path::{Path, PathBuf};

/// A glob that is no glob; Go's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Joins a path that a file names with the file's folder; empty and absolute paths stay.
pub(crate) fn join(folder: &Path, path: &str) -> String {
    if path.is_empty() || path.starts_with('/') {
        return path.to_owned();
    }
    clean(&format!("{}/{path}", folder.to_string_lossy()))
}

/// The folder of a file; `.` if its path names none.
pub(crate) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_path_buf(),
        None => PathBuf::from("/"),
    }
}

/// Removes `.`, `..` and double slashes without asking the file system.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (is_rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// The files that exist and match, sorted within each folder. Folders that cannot be read have
/// none.
///
/// # Errors
/// If the pattern is malformed.
pub fn glob(pattern: &str) -> Result<Vec<PathBuf>, BadPattern> {
    // Malformed is malformed, whether there is a file to match or not.
    matches(pattern, "")?;
    if !has_meta(pattern) {
        let path = PathBuf::from(pattern);
        let exists = path.symlink_metadata().is_ok();
        return Ok(if exists { vec![path] } else { Vec::new() });
    }
    let (folder, name) = match pattern.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => ("", pattern),
    };
    let folders = match folder {
        "" | "/" => vec![PathBuf::from(folder)],
        folder => glob(folder)?,
    };
    let mut found = Vec::new();
    for folder in folders {
        found.extend(matches_in(&folder, name)?);
    }
    Ok(found)
}

fn matches_in(folder: &Path, name: &str) -> Result<Vec<PathBuf>, BadPattern> {
    let place = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = place.read_dir() else {
        return Ok(Vec::new());
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let mut found = Vec::new();
    for candidate in names {
        if matches(name, &candidate)? {
            found.push(folder.join(candidate));
        }
    }
    Ok(found)
}

fn has_meta(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '\\'])
}

/// One step of a pattern.
enum Step {
    /// `*`
    Any,
    /// `?`
    One,
    Literal(char),
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Whether a name without slashes matches the whole pattern. Costs pattern times name at worst:
/// only the last `*` is ever gone back to.
fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let steps = steps(pattern)?;
    let name: Vec<char> = name.chars().collect();
    let (mut step, mut at) = (0, 0);
    let mut last_any: Option<(usize, usize)> = None;
    loop {
        let is_done = step == steps.len() && at == name.len();
        if is_done {
            return Ok(true);
        }
        if matches!(steps.get(step), Some(Step::Any)) {
            last_any = Some((step, at));
            step += 1;
        } else if steps.get(step).is_some_and(|step| step.takes(name.get(at))) {
            step += 1;
            at += 1;
        } else {
            // Let the last star take one more.
            match &mut last_any {
                Some((any, taken)) if *taken < name.len() && name[*taken] != '/' => {
                    *taken += 1;
                    (step, at) = (*any + 1, *taken);
                }
                _ => return Ok(false),
            }
        }
    }
}

impl Step {
    fn takes(&self, c: Option<&char>) -> bool {
        let Some(&c) = c else {
            return false;
        };
        match self {
            Step::Any => false,
            Step::One => c != '/',
            Step::Literal(literal) => *literal == c,
            Step::Class { is_negated, ranges } => {
                let is_in = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                is_in != *is_negated
            }
        }
    }
}

fn steps(pattern: &str) -> Result<Vec<Step>, BadPattern> {
    let mut steps = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        steps.push(match c {
            '*' => Step::Any,
            '?' => Step::One,
            '\\' => Step::Literal(chars.next().ok_or(BadPattern)?),
            '[' => {
                let is_negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.peek() != Some(&']') {
                    let low = class_char(&mut chars)?;
                    let high = match chars.next_if_eq(&'-') {
                        Some(_) => class_char(&mut chars)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                chars.next();
                Step::Class { is_negated, ranges }
            }
            c => Step::Literal(c),
        });
    }
    Ok(steps)
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, BadPattern> {
    match chars.next() {
        None | Some('-' | ']') => Err(BadPattern),
        Some('\\') => chars.next().ok_or(BadPattern),
        Some(c) => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_as_go_does() {
        for (folder, path, joined) in [
            ("/etc/prometheus", "a.yml", "/etc/prometheus/a.yml"),
            ("/etc/prometheus", "../x/./*.yml", "/etc/x/*.yml"),
            ("/etc", "/abs.yml", "/abs.yml"),
            ("/etc", "", ""),
            (".", "a.yml", "a.yml"),
            (".", "../a.yml", "../a.yml"),
            ("/", "../a.yml", "/a.yml"),
            ("conf", "..", "."),
        ] {
            assert_eq!(join(Path::new(folder), path), joined, "{folder} {path}");
        }
        for (path, expected) in [("a.yml", "."), ("c/a.yml", "c"), ("/a.yml", "/")] {
            assert_eq!(folder(Path::new(path)), Path::new(expected));
        }
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.json", "a.json", true),
            ("*.json", "a.yml", false),
            ("*", "", true),
            ("a*b*c", "axxbxxc", true),
            ("a*b*c", "axxbxx", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[a-c]x", "dx", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("é*", "éa", true),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, name), Ok(expected), "{pattern} {name}");
        }
        for pattern in ["[", "[]", "[a", "a\\", "[a-]", "[-]"] {
            assert_eq!(matches(pattern, "a"), Err(BadPattern), "{pattern}");
        }
    }

    #[test]
    fn globs_find_what_exists() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["b.json", "a.json", "c.yml", "d1/x.json", "d2/y.json"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let root = folder.path().to_str().unwrap();
            let paths = glob(&format!("{root}/{pattern}")).unwrap();
            let names = paths.iter().map(|path| path.strip_prefix(root).unwrap());
            names
                .map(|name| name.to_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(found("*.json"), ["a.json", "b.json"]);
        assert_eq!(found("c.yml"), ["c.yml"]);
        assert_eq!(found("d?/*.json"), ["d1/x.json", "d2/y.json"]);
        assert_eq!(found("nothing*"), [""; 0]);
        assert_eq!(found("nothing/*.json"), [""; 0]);
        assert_eq!(glob("nowhere/["), Err(BadPattern));
    }
}
