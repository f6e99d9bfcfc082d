//! Prompts for missing inputs, on a terminal.

use std::io::{Error, ErrorKind};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use dialoguer::console::{Key, Term};
use dialoguer::theme::{ColorfulTheme, Theme};
use dialoguer::{Confirm, Input as Text, MultiSelect, Select};
use serde_json::Value;

use crate::cli::signals::{self, SignalGuard};
use crate::flow::Input;
use crate::flow::input::{InputType, MissingInput, to_argument};
use crate::text::plain;

/// The prompts of one run. While they are shown, a signal ends the process with the terminal restored.
pub(super) struct Prompts {
    terminal: Term,
    theme: ColorfulTheme,
    _watch: SignalGuard,
}

impl Prompts {
    /// Starts to prompt.
    pub(super) fn start() -> Self {
        let watch = SignalGuard::new(|| {
            let _ = disable_raw_mode();
            let _ = Term::stderr().show_cursor();
            signals::exit_now()
        });
        Self { terminal: Term::stderr(), theme: ColorfulTheme::default(), _watch: watch }
    }

    /// Prompts for one input until the answer is valid; none if the user cancels.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(super) fn ask(&self, input: &Input, question: &MissingInput) -> anyhow::Result<Option<Value>> {
        match self.answer(input, question).map_err(Error::from) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::UnexpectedEof) => {
                self.terminal.show_cursor()?;
                Ok(None)
            }
            Err(error) => Err(anyhow::Error::new(error).context(format!("cannot ask for the input `{}`", input.id))),
        }
    }

    fn answer(&self, input: &Input, question: &MissingInput) -> dialoguer::Result<Value> {
        let title = prompt_text(input);
        match input.kind {
            InputType::Bool => self.confirm_value(&title, question),
            InputType::Select if !input.allow_custom_value => self.select_one(&title, question),
            InputType::Multiselect if !input.allow_custom_value => self.select_several(&title, input, question),
            InputType::Secret => self.secret(&title, input),
            _ => self.free_text(&title, input, question),
        }
    }

    fn confirm_value(&self, title: &str, question: &MissingInput) -> dialoguer::Result<Value> {
        let confirm = Confirm::with_theme(&self.theme).with_prompt(title);
        let confirm = match question.prefill.as_ref().and_then(|value| plain(value).parse().ok()) {
            Some(prefill) => confirm.default(prefill),
            None => confirm,
        };
        Ok(Value::Bool(confirm.interact_on(&self.terminal)?))
    }

    fn select_one(&self, title: &str, question: &MissingInput) -> dialoguer::Result<Value> {
        let prefill = question.prefill.as_ref().map(plain);
        let first = question.choices.iter().position(|choice| Some(choice) == prefill.as_ref());
        let select = Select::with_theme(&self.theme).with_prompt(title).items(&question.choices);
        let chosen = select.default(first.unwrap_or_default()).interact_on(&self.terminal)?;
        Ok(question.choices.get(chosen).map_or(Value::Null, |choice| Value::from(choice.as_str())))
    }

    fn select_several(&self, title: &str, input: &Input, question: &MissingInput) -> dialoguer::Result<Value> {
        let prefill: Vec<String> = question.prefill.iter().filter_map(Value::as_array).flatten().map(plain).collect();
        let items: Vec<(&str, bool)> =
            question.choices.iter().map(|choice| (choice.as_str(), prefill.contains(choice))).collect();
        let title = format!("{title} (space selects)");
        loop {
            let select = MultiSelect::with_theme(&self.theme).with_prompt(&title).items_checked(items.clone());
            let chosen = select.interact_on(&self.terminal)?;
            let chosen: Value = chosen.iter().filter_map(|index| question.choices.get(*index).cloned()).collect();
            match chosen.as_array().is_some_and(Vec::is_empty) {
                true => self.show_error("select at least one")?,
                false => match input.accept(&chosen, &question.choices) {
                    Ok(_) => return Ok(chosen),
                    Err(message) => self.show_error(&message)?,
                },
            }
        }
    }

    fn free_text(&self, title: &str, input: &Input, question: &MissingInput) -> dialoguer::Result<Value> {
        let title = match question.choices.as_slice() {
            [] => title.to_owned(),
            choices => format!("{title}: {}, or another value", choices.join(", ")),
        };
        let text = Text::<String>::with_theme(&self.theme).with_prompt(title);
        let text = match &question.prefill {
            Some(prefill) => text.with_initial_text(to_argument(prefill)),
            None => text,
        };
        let check = |answer: &String| -> Result<(), String> {
            input.accept(&Value::from(answer.as_str()), &question.choices)?;
            match input.kind {
                InputType::File if !std::path::Path::new(answer.trim()).is_file() => {
                    Err(format!("there is no file `{answer}`"))
                }
                _ => Ok(()),
            }
        };
        text.validate_with(check).interact_text_on(&self.terminal).map(Value::from)
    }

    /// Reads a line without echo, whether typed or pasted.
    fn secret(&self, title: &str, input: &Input) -> dialoguer::Result<Value> {
        loop {
            let mut prompt = String::new();
            let _ = self.theme.format_input_prompt(&mut prompt, &format!("{title}, hidden"), None);
            self.terminal.write_str(&prompt)?;
            let line = self.hidden_line();
            self.terminal.write_line("")?;
            let line = Value::from(line?);
            match input.accept(&line, &[]) {
                _ if line == "" => self.show_error("enter a value")?,
                Ok(_) => return Ok(line),
                Err(message) => self.show_error(&message)?,
            }
        }
    }

    /// Prompts for one of several items, and returns its index; none if the user cancels.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(super) fn choose(&self, title: &str, items: &[String]) -> anyhow::Result<Option<usize>> {
        let select = Select::with_theme(&self.theme).with_prompt(title).items(items).default(0);
        match select.interact_on(&self.terminal).map_err(Error::from) {
            Ok(chosen) => Ok(Some(chosen)),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::UnexpectedEof) => {
                self.terminal.show_cursor()?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Prompts for a password; none if the user cancels.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(super) fn password(&self, title: &str) -> anyhow::Result<Option<String>> {
        self.terminal.write_str(&format!("{title}, hidden: "))?;
        let line = self.hidden_line();
        self.terminal.write_line("")?;
        match line {
            Ok(line) => Ok(Some(line)),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::UnexpectedEof) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn hidden_line(&self) -> std::io::Result<String> {
        let _raw = NoEcho::begin()?;
        let mut line = String::new();
        loop {
            match self.terminal.read_key_raw()? {
                Key::Enter => return Ok(line),
                Key::Backspace => drop(line.pop()),
                Key::CtrlC => return Err(ErrorKind::Interrupted.into()),
                Key::Char('\u{4}') if line.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                Key::Char(letter) if !letter.is_control() => line.push(letter),
                _ => {}
            }
        }
    }

    fn show_error(&self, message: &str) -> std::io::Result<()> {
        let mut text = String::new();
        let _ = self.theme.format_error(&mut text, message);
        self.terminal.write_line(&text)
    }
}

/// Turns off the echo of the terminal until it is dropped.
struct NoEcho;

impl NoEcho {
    fn begin() -> std::io::Result<Self> {
        enable_raw_mode().map(|()| Self)
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}

/// The text of the prompt: the display name, the description and the id.
fn prompt_text(input: &Input) -> String {
    let words: Vec<&str> =
        [&input.display_name, &input.description].into_iter().flatten().map(String::as_str).collect();
    if words.is_empty() { input.id.clone() } else { format!("{} ({})", words.join(": "), input.id) }
}
