//! What tokens cost.

use super::Usage;
use crate::ai_settings::AiSettings;

/// What so many tokens of a model cost, if the settings know its price.
pub fn cost(settings: &AiSettings, model: &str, usage: Usage) -> Option<f64> {
    let price = settings.prices.get(model)?;
    let of = |tokens: Option<u64>, price: f64| tokens.unwrap_or_default() as f64 * price / 1_000_000.0;
    Some(of(usage.input_token_count, price.input) + of(usage.output_token_count, price.output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai_settings::ModelPrice;

    #[test]
    fn prices_are_for_a_million_tokens() {
        let price = ModelPrice { input: 0.3, output: 2.5 };
        let settings = AiSettings { prices: [("m".to_owned(), price)].into(), ..AiSettings::default() };
        let usage = Usage::of(Some(1_000_000), Some(2_000_000));
        assert_eq!(cost(&settings, "m", usage), Some(5.3));
        assert_eq!(cost(&settings, "other", usage), None);
    }
}
