//! What colours, shapes and what was not understood of a query are called.

use atelier_engine::store::Colour;
use atelier_engine::store::search::{QueryNotice, SearchOrder, Shape};

use super::{Language, Text};

fn colour_names(colour: Colour) -> [&'static str; 2] {
    match colour {
        Colour::Red => ["red", "红色"],
        Colour::Orange => ["orange", "橙色"],
        Colour::Yellow => ["yellow", "黄色"],
        Colour::Green => ["green", "绿色"],
        Colour::Cyan => ["cyan", "青色"],
        Colour::Blue => ["blue", "蓝色"],
        Colour::Purple => ["purple", "紫色"],
        Colour::Pink => ["pink", "粉色"],
        Colour::Brown => ["brown", "棕色"],
        Colour::Black => ["black", "黑色"],
        Colour::Grey => ["grey", "灰色"],
        Colour::White => ["white", "白色"],
    }
}

impl Language {
    /// Returns the name of a colour.
    pub fn colour_name(self, colour: Colour) -> &'static str {
        self.example(colour_names(colour))
    }

    /// Returns the name of a shape.
    pub fn shape_name(self, shape: Shape) -> &'static str {
        self.get(match shape {
            Shape::Landscape => Text::ShapeLandscape,
            Shape::Portrait => Text::ShapePortrait,
            Shape::Square => Text::ShapeSquare,
        })
    }

    /// Returns the name of an order.
    pub fn order_name(self, order: SearchOrder) -> &'static str {
        self.get(match order {
            SearchOrder::Newest => Text::OrderNewest,
            SearchOrder::Oldest => Text::OrderOldest,
            SearchOrder::Rating => Text::OrderRating,
            SearchOrder::Board => Text::OrderBoard,
        })
    }

    /// Says what of a query was not understood.
    pub fn query_notice(self, notice: &QueryNotice) -> String {
        match notice {
            QueryNotice::UnknownField { field } => self.fill(Text::QueryField, &[field]),
            QueryNotice::BadValue { field, value } => self.fill(Text::QueryValue, &[field, value]),
            QueryNotice::NotExcludable { field } => self.fill(Text::QueryExclude, &[field]),
            QueryNotice::OpenQuote => self.get(Text::QueryQuote).to_owned(),
            QueryNotice::NoWords { text } => self.fill(Text::QueryWords, &[text]),
        }
    }

    /// Says how many results there are.
    pub fn results(self, count: usize) -> String {
        match count {
            0 => self.get(Text::FoundNone).to_owned(),
            1 => self.get(Text::FoundOne).to_owned(),
            _ => self.fill(Text::FoundMany, &[&grouped(count)]),
        }
    }
}

/// Writes a number with its thousands apart: `100,000`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let numbers = [0, 12, 999, 1_000, 98_765, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "12", "999", "1,000", "98,765", "1,234,567"]);
    }
}
