//! `jitney user`

use std::fs;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::exit::io_error;
use crate::cli::out::{errln, outln};
use crate::cli::prompts::Prompts;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::flow::from_yaml;
use crate::server::access::{Role, User};
use crate::server::settings::{FILE, ServerSettings};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a user of the server to its settings file
    ///
    /// The password is asked for, or read from stdin. Only its argon2id hash is written.
    Add {
        /// The name to log in with, such as a mail address
        name: String,
        /// viewer: read; operator: run, stop and repeat; editor: change flows and values; admin: everything
        #[arg(long, value_name = "ROLE", default_value_t)]
        role: Role,
        /// The settings file [default: jitney.yaml here or in the home folder]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print the entry instead of writing it
        #[arg(long)]
        print: bool,
    },
}

pub(super) fn run(arguments: Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let UserCommand::Add { name, role, config, print } = arguments.command;
    let file = config.or_else(|| ServerSettings::file(settings));
    let Some(password) = password(&name)? else { return Ok(ExitStatus::Cancelled) };
    let user = User::hashed(&name, &password, role).map_err(InvalidFlow::from)?;
    if print {
        outln!("{}", entry(&user, "  "));
        return Ok(ExitStatus::Ok);
    }
    let file = file.unwrap_or_else(|| settings.home.join(FILE));
    write(&file, &user, settings)?;
    errln!("Added the {role} `{name}` to {}. A server that runs must be restarted.", file.display());
    Ok(ExitStatus::Ok)
}

/// The password that is entered, twice on a terminal; none if that is cancelled.
fn password(name: &str) -> anyhow::Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| io_error("read the password from stdin", &error))?;
        return Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()));
    }
    let prompts = Prompts::start();
    let Some(password) = prompts.password(&format!("Password of {name}"))? else { return Ok(None) };
    let Some(again) = prompts.password("The same again")? else { return Ok(None) };
    if password != again {
        return Err(InvalidFlow::from(Diagnostic::error("the two passwords differ")).into());
    }
    Ok(Some(password))
}

/// The user as an item of the list.
fn entry(user: &User, indent: &str) -> String {
    let (name, password) = (json!(user.name), json!(user.password));
    format!("{indent}- name: {name}\n{indent}  password: {password}\n{indent}  role: {}", user.role)
}

/// Adds a user to a settings file, whose other lines stay as they are.
fn write(file: &Path, user: &User, settings: &Settings) -> anyhow::Result<()> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io_error(format!("read {}", file.display()), &error).into()),
    };
    let Some(edited) = edited(&text, user).map_err(InvalidFlow::from)? else {
        let message = format!("{} is written so that no user can be added to it", file.display());
        let help = format!("add this to the list `users` by hand:\n{}", entry(user, "  "));
        return Err(InvalidFlow::from(Diagnostic::error(message).help(help)).into());
    };
    if file.starts_with(&settings.home) {
        crate::home::make_private(&settings.home).with_context(|| format!("cannot use {}", settings.home.display()))?;
    }
    let draft = file.with_extension("yaml.new");
    let written = fs::write(&draft, edited).and_then(|()| match file.metadata() {
        Ok(found) => fs::set_permissions(&draft, found.permissions()),
        Err(_) => Ok(()),
    });
    written
        .and_then(|()| fs::rename(&draft, file))
        .map_err(|error| io_error(format!("write {}", file.display()), &error).into())
}

/// The text with one more user; none if it does not mean just that afterwards.
fn edited(text: &str, user: &User) -> Result<Option<String>, Diagnostic> {
    let read = |text: &str| match from_yaml(text) {
        Ok(Value::Null) => Some(json!({})),
        Ok(value) if value.is_object() => Some(value),
        _ => None,
    };
    let Some(mut wanted) = read(text) else { return Ok(None) };
    let users = wanted.as_object_mut().map(|map| map.entry("users").or_insert_with(|| json!([])));
    let Some(users) = users.and_then(Value::as_array_mut) else { return Ok(None) };
    if users.iter().any(|known| known["name"] == user.name.as_str()) {
        let finding = Diagnostic::error(format!("there is a user `{}` already", user.name));
        return Err(finding.help("remove the entry from the settings file to set another password"));
    }
    users.push(json!({"name": user.name, "password": user.password, "role": user.role}));
    let edited = inserted(text, user);
    Ok(read(&edited).is_some_and(|value| value == wanted).then_some(edited))
}

/// The text with the entry after the last line of the list `users`, else with a list at its end.
fn inserted(text: &str, user: &User) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let begin = lines.iter().position(|line| line.split('#').next().unwrap_or_default().trim_end() == "users:");
    let Some(begin) = begin else {
        lines.extend(["users:".to_owned(), entry(user, "  ")]);
        return lines.join("\n") + "\n";
    };
    let is_item = |line: &str| line.starts_with([' ', '-']);
    let items = lines[begin + 1..].iter().take_while(|line| is_item(line) || line.is_empty());
    let end =
        items.enumerate().filter(|(_, line)| is_item(line)).map(|(place, _)| place + 1).last().unwrap_or_default();
    let first = lines.get(begin + 1).map(String::as_str).unwrap_or_default();
    let indent = if is_item(first) { " ".repeat(first.len() - first.trim_start().len()) } else { "  ".to_owned() };
    lines.insert(begin + 1 + end, entry(user, &indent));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User { name: name.to_owned(), password: "$argon2id$x".to_owned(), role: Role::Viewer }
    }

    #[test]
    fn an_entry_is_added_and_everything_else_stays() {
        let entry = "- name: \"ada\"\n    password: \"$argon2id$x\"\n    role: viewer\n";
        let edit = |text: &str| edited(text, &user("ada")).unwrap();
        assert_eq!(edit(""), Some(format!("users:\n  {entry}")));
        let text = "# Ours\nretention: {files: 7d} # short\n";
        assert_eq!(edit(text), Some(format!("{text}users:\n  {entry}")));
        let text = "users: # all\n  - name: bob\n    password: secret\nhosts: [a]\n";
        let expected = text.replace("hosts", &format!("  {entry}hosts"));
        assert_eq!(edit(text), Some(expected));
        let flat = "users:\n- {name: bob, password: secret}\n";
        assert_eq!(edit(flat), Some(format!("{flat}{}", entry.replace("\n    ", "\n  "))));
        assert_eq!(edit("users: [{name: bob, password: secret}]\n"), None, "a list in one line");
        assert_eq!(edit("- a\n"), None);
        let again = edited("users:\n  - {name: ada, password: x}\n", &user("ada")).unwrap_err();
        assert_eq!(again.message, "there is a user `ada` already");
    }
}
