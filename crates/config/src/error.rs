//! What is wrong with a configuration, all of it, with lines.

use std::fmt;
use std::path::{Path, PathBuf};

use gocompat::strconv::quote;

use crate::load::absolute;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Of what kind.
    pub kind: ProblemKind,
    /// The line in the file, from 1; 0 if the problem has no place.
    pub line: usize,
    /// The column, from 1; 0 if the problem has no place.
    pub column: usize,
    /// What is wrong, in upstream's words where upstream has any.
    pub text: String,
}

/// What a problem is about, which is how upstream words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// A key that cannot be here, or a value that is not of its key's kind.
    Structure,
    /// A value that is of its kind and makes no sense.
    Meaning,
}

/// How a file came to be read, which is how it is named in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// The file of `--config.file`.
    Main,
    /// A file that another one names.
    Included,
}

/// Why a configuration was refused. The text is what users see, in the log and from `/-/reload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigErrors {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Its role.
        role: FileRole,
        /// Why, as the operating system says it.
        reason: String,
    },
    /// The text is no YAML. There is only ever one: nothing after it can be trusted.
    Syntax {
        /// The file.
        path: PathBuf,
        /// Its role.
        role: FileRole,
        /// What and where.
        problem: Problem,
    },
    /// The text is YAML and says things that cannot be; never empty, sorted by line.
    Content {
        /// The file.
        path: PathBuf,
        /// Its role.
        role: FileRole,
        /// What and where.
        problems: Vec<Problem>,
    },
}

impl ConfigErrors {
    /// The file that is wrong: the main one or an included one.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            ConfigErrors::Read { path, .. }
            | ConfigErrors::Syntax { path, .. }
            | ConfigErrors::Content { path, .. } => path,
        }
    }

    /// All that is wrong; empty if the file could not be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            ConfigErrors::Read { .. } => &[],
            ConfigErrors::Syntax { problem, .. } => std::slice::from_ref(problem),
            ConfigErrors::Content { problems, .. } => problems,
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigErrors::Read { path, role, reason } => {
                if *role == FileRole::Included {
                    write!(f, "{}: ", quote(&absolute(path)))?;
                }
                write!(f, "open {}: {reason}", path.display())
            }
            ConfigErrors::Syntax {
                path,
                role,
                problem,
            } => {
                write_place(f, path, *role)?;
                write!(f, "yaml: {problem}")
            }
            ConfigErrors::Content {
                path,
                role,
                problems,
            } => {
                write_place(f, path, *role)?;
                if let [problem] = problems.as_slice()
                    && problem.kind == ProblemKind::Meaning
                {
                    // Upstream's text is a sentence without place here; ours goes on after it.
                    return write!(f, "{} (line {})", problem.text, problem.line);
                }
                f.write_str("yaml: unmarshal errors:")?;
                let mut problems = problems.iter();
                problems.try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, path: &Path, role: FileRole) -> fmt::Result {
    match role {
        FileRole::Main => write!(f, "parsing YAML file {}: ", path.display()),
        FileRole::Included => write!(f, "{}: ", quote(&absolute(path))),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for ConfigErrors {}
