//! What the command line asks for.

/// Where the trace goes besides the terminal.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) otlp: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) onion: Option<String>,
}

impl Arguments {
    /// Reads `--otlp URL`, `--html FILE` and `--onion FILE`.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(name) = given.next() {
            let place = match name.as_str() {
                "--otlp" => &mut arguments.otlp,
                "--html" => &mut arguments.html,
                "--onion" => &mut arguments.onion,
                other => {
                    return Err(format!(
                        "{other} is none of --otlp URL, --html FILE, --onion FILE"
                    ));
                }
            };
            *place = Some(given.next().ok_or(format!("{name} needs a value"))?);
        }
        Ok(arguments)
    }
}
