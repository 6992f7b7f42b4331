//! Running other programs: each command is printed before it runs, and a failure keeps its exit code.

use std::{
    env,
    ffi::OsStr,
    io,
    path::Path,
    process::{Command, ExitStatus, Output},
};

use crate::stopped::Stopped;

/// Prints `command`, runs it on our own terminal and waits for it.
///
/// # Errors
/// [`Stopped::Failed`] with its exit code, or [`Stopped::Broken`] when it cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<(), Stopped> {
    let line = announce(command);
    let status = command
        .status()
        .map_err(|source| not_started(&line, &source))?;
    judge(&line, status)
}

/// Prints `command`, runs it and keeps what it wrote. What goes where can be changed on `command` before.
///
/// # Errors
/// As [`run`]; what a failed command wrote to its standard error is printed first.
pub(crate) fn capture(command: &mut Command) -> Result<Output, Stopped> {
    let line = announce(command);
    let output = command
        .output()
        .map_err(|source| not_started(&line, &source))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    judge(&line, output.status).map(|()| output)
}

/// Whether `program` can be started by its bare name.
pub(crate) fn on_path(program: &str) -> bool {
    let file = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|directory| directory.join(&file).is_file())
    })
}

/// The command as one would type it: variables that we set, the program, its arguments.
pub(crate) fn spoken(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={}", name.display(), quoted(value)))
    });
    let words = std::iter::once(typed(command.get_program())).chain(command.get_args());
    let parts: Vec<String> = variables.chain(words.map(quoted)).collect();
    parts.join(" ")
}

fn announce(command: &Command) -> String {
    let line = spoken(command);
    eprintln!("$ {line}");
    line
}

/// The cargo that started us is known by its full path, which nobody types.
fn typed(program: &OsStr) -> &OsStr {
    match Path::new(program).file_stem() {
        Some(name) if name == "cargo" => name,
        _ => program,
    }
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |letter: char| letter.is_alphanumeric() || "-_=+./:,@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn judge(line: &str, status: ExitStatus) -> Result<(), Stopped> {
    if status.success() {
        return Ok(());
    }
    Err(Stopped::Failed {
        command: line.to_owned(),
        ending: status.to_string(),
        code: status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    })
}

fn not_started(line: &str, source: &io::Error) -> Stopped {
    Stopped::Broken(format!("`{line}` could not be started: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_spoken_as_one_would_type_it() {
        let mut command = Command::new("/opt/rust/bin/cargo");
        command
            .args(["test", "it's red", ""])
            .env("RUSTDOCFLAGS", "-D warnings")
            .env_remove("CARGO_PKG_NAME");
        assert_eq!(
            spoken(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo test 'it'\''s red' ''"
        );
    }

    #[test]
    fn any_other_program_keeps_its_path() {
        assert_eq!(spoken(&Command::new("/built/overhead")), "/built/overhead");
    }

    #[test]
    fn a_program_that_does_not_exist_is_not_started() {
        let stopped = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert_eq!(stopped.exit_code(), 1);
        assert!(stopped.to_string().contains("could not be started"));
    }

    #[cfg(unix)]
    #[test]
    fn the_exit_code_of_a_failed_command_is_kept() {
        let stopped = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(stopped.exit_code(), 7);
    }

    #[cfg(unix)]
    #[test]
    fn a_command_ended_by_a_signal_counts_as_one() {
        let stopped = run(Command::new("sh").args(["-c", "kill -9 $$"])).unwrap_err();
        assert_eq!(stopped.exit_code(), 1);
        assert!(stopped.to_string().contains("signal: 9"));
    }

    #[cfg(unix)]
    #[test]
    fn what_a_command_wrote_is_kept() {
        let output = capture(Command::new("sh").args(["-c", "echo said"])).unwrap();
        assert_eq!(output.stdout, b"said\n");
    }

    #[cfg(unix)]
    #[test]
    fn the_shell_is_on_the_path_and_nonsense_is_not() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
    }
}
