//! Properties of Kestra's tasks that jitney does not have. They are refused while the flow is checked, since a model would
//! answer without them as if nothing were missing.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Declares a type of a field that is always refused, with what to use instead.
macro_rules! refused {
    ($($(#[$meta:meta])* $name:ident: $message:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Clone)]
        pub(super) enum $name {}

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(D::Error::custom($message))
            }
        }
    )*};
}

refused! {
    /// `memory`
    NoMemory: "memory is not supported: give the model what was said before as `messages` of ai.chat";
    /// `guardrails`
    NoGuardrails: "guardrails are not supported: check the question and the output `textOutput` with `if` or `fail`";
    /// `observability`
    NoObservability: "observability is not supported: tokens and costs are outputs and metrics of the task";
    /// `contentRetrievers`
    NoRetrievers: "content retrievers are not supported: find passages with ai.search and write its `results` into the prompt, or use ai.answer";
    /// `tools` of a chat
    NoTools: "a chat has no tools: use ai.agent, which takes the same `tools`";
    /// `outputFiles` of an agent
    NoOutputFiles: "files are not written by the agent itself: give it a task that writes them as a tool";
    /// `clientPem` and `caPem`
    NoCertificates: "certificates are not set here: to trust an authority of your own, name its file in SSL_CERT_FILE";
    /// `titleMetadataKey`
    NoTitles: "titles are not supported: the headings of a document are part of what is embedded";
}
