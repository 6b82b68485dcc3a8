//! What is wrong with a configuration, all of it, with lines.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1; 0 if the problem has no place.
    pub line: usize,
    /// The column, from 1; 0 if the problem has no place.
    pub column: usize,
    /// What is wrong, in upstream's words where upstream has any.
    pub text: String,
}

/// Why a configuration was refused. The text is what users see, in the log and from `/-/reload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigErrors {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why, as the operating system says it.
        reason: String,
    },
    /// The text is no YAML. There is only ever one: nothing after it can be trusted.
    Syntax {
        /// The file.
        path: PathBuf,
        /// What and where.
        problem: Problem,
    },
    /// The text is YAML and says things that cannot be; never empty, sorted by place.
    Content {
        /// The file.
        path: PathBuf,
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
            ConfigErrors::Read { path, reason } => write!(f, "open {}: {reason}", path.display()),
            ConfigErrors::Syntax { path, problem } => {
                write!(f, "parsing YAML file {}: yaml: {problem}", path.display())
            }
            ConfigErrors::Content { path, problems } => {
                write!(f, "parsing YAML file {}: ", path.display())?;
                if let [problem] = problems.as_slice() {
                    return write!(f, "{problem}");
                }
                f.write_str("yaml: unmarshal errors:")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
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
