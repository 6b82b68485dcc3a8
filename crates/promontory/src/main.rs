//! The server: flags, wiring, signals.

mod flags;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match flags::parse(&arguments) {
        Ok(_) => std::process::ExitCode::SUCCESS,
        Err(refusal) => std::process::ExitCode::from(refusal.exit_code),
    }
}
