//! Server-sent events, as they come in pieces.

/// What of a stream is not yet a whole event.
#[derive(Debug, Default)]
pub struct EventReader {
    /// The line that has no end yet.
    line: Vec<u8>,
    /// The data of the event that has no end yet.
    data: Option<String>,
}

impl EventReader {
    /// The data of the events that these bytes complete.
    pub fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                found.extend(self.add_line(&line));
            }
        }
        found
    }

    /// What is left when the stream has ended: an event without the empty line after it.
    pub fn rest(mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        self.add_line(&line);
        self.data
    }

    fn add_line(&mut self, line: &[u8]) -> Option<String> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return self.data.take();
        }
        if let Some(data) = line.strip_prefix("data:") {
            let data = data.strip_prefix(' ').unwrap_or(data);
            match &mut self.data {
                Some(before) => {
                    before.push('\n');
                    before.push_str(data);
                }
                None => self.data = Some(data.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text = ": note\r\nevent: x\r\ndata: {\"a\":\r\ndata: \"ü\"}\r\n\r\ndata:[DONE]\n\n";
        for size in 1..text.len() {
            let mut reader = EventReader::default();
            let found: Vec<String> = text.as_bytes().chunks(size).flat_map(|piece| reader.add(piece)).collect();
            assert_eq!(found, ["{\"a\":\n\"ü\"}", "[DONE]"]);
            assert_eq!(reader.rest(), None);
        }
        let mut reader = EventReader::default();
        assert!(reader.add(b"data: {\"a\"").is_empty());
        assert_eq!(reader.rest().as_deref(), Some("{\"a\""));
    }
}
