//! The target with which an execution or a backfill continues: the original one, unless `--retarget` is given.

use clap::Args;

use crate::config::Settings;
use crate::secret::hide_address;

/// What to do if the target has changed since the start.
#[derive(Args, Clone, Copy)]
pub(super) struct OnTargetChange {
    /// Continue with the present Postgres server and Google Cloud project instead of the original ones
    #[arg(long)]
    pub retarget: bool,
}

/// The option with which a later command reaches the same Postgres server: ` --postgres ADDRESS`, without the
/// password.
pub(super) fn postgres_flag(settings: &Settings) -> String {
    address(settings).map(|address| format!(" --postgres {address}")).unwrap_or_default()
}

/// The address of `--postgres`, quoted for a shell and without the password.
pub(super) fn address(settings: &Settings) -> Option<String> {
    Some(shell_quoted(&hide_address(settings.postgres.as_ref()?).replace(":***@", "@")))
}

/// A word, quoted for a shell if necessary.
pub(super) fn shell_quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.,:/@%=+[]".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The hint below a command from which the password was removed.
pub(super) fn password_hint(settings: &Settings) -> &'static str {
    let has_password = settings.postgres.as_ref().is_some_and(|address| hide_address(address) != *address);
    if has_password { "\nAdd the password to the address, or set PGPASSWORD." } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CliOverrides;

    fn settings(address: &str) -> Settings {
        let overrides = CliOverrides { home: Some("/h".into()), postgres: Some(address.to_owned()) };
        Settings::from_environment(overrides, std::collections::BTreeMap::new()).unwrap()
    }

    #[test]
    fn a_command_for_later_names_the_server_and_not_the_password() {
        let plain = settings("postgres://root:geheim77@db:5432/taxi");
        assert_eq!(postgres_flag(&plain), " --postgres postgres://root@db:5432/taxi");
        assert!(!password_hint(&plain).is_empty());
        let odd = settings("postgres://root@db/taxi?sslmode=require&x=it's");
        assert_eq!(postgres_flag(&odd), r" --postgres 'postgres://root@db/taxi?sslmode=require&x=it'\''s'");
        assert_eq!(password_hint(&odd), "");
    }
}
