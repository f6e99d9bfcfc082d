//! How the destination of a load compares the values that steps have as texts.

/// What a comparison of the texts' bytes says about the values, from the most to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparability {
    /// Whether they are equal, and which comes first.
    Order,
    /// Whether they are equal: their order is that of a language, or of an enum's declaration.
    Equality,
    /// Nothing: texts with different bytes may be equal.
    Nothing,
    /// Nothing, and functions of texts do not apply to them: the type is another.
    OtherType,
}

/// How values are compared, and what decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparisonRule {
    /// What their bytes say.
    pub comparability: Comparability,
    /// The collation or type, as messages name it: ``collation `en_US` ``.
    pub by: String,
}

impl ComparisonRule {
    /// Texts that are compared byte by byte.
    pub fn by_bytes() -> Self {
        Self { comparability: Comparability::Order, by: "collation `C`".to_owned() }
    }
}
