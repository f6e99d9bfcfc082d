//! Reads an answer: words, and a flow between fences.

/// An answer in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelReply {
    /// The flow; none if there is none.
    pub(super) yaml: Option<String>,
    /// Everything else.
    pub(super) words: String,
}

impl ModelReply {
    pub(super) fn parse(text: &str) -> Self {
        let mut blocks: Vec<(String, String)> = Vec::new();
        let mut words = String::new();
        let mut is_inside = false;
        for line in text.lines() {
            // A fence within a text of the flow is indented.
            match line.strip_prefix("```") {
                Some(_) if is_inside => is_inside = false,
                Some(language) => {
                    is_inside = true;
                    blocks.push((language.trim().to_lowercase(), String::new()));
                }
                None => {
                    let part = if is_inside { blocks.last_mut().map(|(_, block)| block) } else { Some(&mut words) };
                    if let Some(part) = part {
                        part.push_str(line);
                        part.push('\n');
                    }
                }
            }
        }
        let is_flow = |block: &&(String, String)| {
            ["yaml", "yml", ""].contains(&block.0.as_str()) && block.1.lines().any(|line| line.starts_with("tasks:"))
        };
        let yaml = blocks.iter().rev().find(is_flow).map(|(_, block)| block.clone());
        // Some models leave the fences out.
        let is_bare = yaml.is_none() && blocks.is_empty() && is_flow(&&(String::new(), words.clone()));
        match is_bare {
            true => Self { yaml: Some(words), words: String::new() },
            false => Self { yaml, words: words.trim().to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_found_between_fences_or_without_them() {
        let flow = "id: a\nnamespace: b\ntasks:\n  - {id: c, type: log, message: d}\n";
        let reply = ModelReply::parse(&format!(
            "It logs.\n\n```bash\njitney run a.yaml\n```\n```yaml\n{flow}```\nThat is all.\n"
        ));
        assert_eq!(reply.yaml.as_deref(), Some(flow));
        assert_eq!(reply.words, "It logs.\n\nThat is all.");
        assert_eq!(ModelReply::parse(flow).yaml.as_deref(), Some(flow));
        assert_eq!(ModelReply::parse("I cannot.").yaml, None);
        // One that was cut off is used as far as it came.
        assert_eq!(ModelReply::parse(&format!("```yaml\n{flow}")).yaml.as_deref(), Some(flow));
    }
}
