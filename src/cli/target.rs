//! Where an execution or a backfill goes on: with what it began with, unless somebody says otherwise.

use clap::Args;

use crate::config::Settings;
use crate::secret::hide_address;

/// What to do when something began with another target.
#[derive(Args, Clone, Copy)]
pub(super) struct OnTargetChange {
    /// Continue with the present Postgres server and Google Cloud project instead of the original ones
    #[arg(long)]
    pub retarget: bool,
}

/// What a command for later needs so that it reaches the same Postgres: ` --postgres ADDRESS`, without the password.
pub(super) fn flags(settings: &Settings) -> String {
    address(settings).map(|address| format!(" --postgres {address}")).unwrap_or_default()
}

/// The address of `--postgres` as a shell takes it, without the password.
pub(super) fn address(settings: &Settings) -> Option<String> {
    Some(quoted(&hide_address(settings.postgres.as_ref()?).replace(":***@", "@")))
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.,:/@%=+[]".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// What to say below a command that had to leave the password out.
pub(super) fn remark(settings: &Settings) -> &'static str {
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
        assert_eq!(flags(&plain), " --postgres postgres://root@db:5432/taxi");
        assert!(!remark(&plain).is_empty());
        let odd = settings("postgres://root@db/taxi?sslmode=require&x=it's");
        assert_eq!(flags(&odd), r" --postgres 'postgres://root@db/taxi?sslmode=require&x=it'\''s'");
        assert_eq!(remark(&odd), "");
    }
}
