//! Prompts to begin with. The house model can draw each of them.

use super::Language;

/// Lists the example prompts, in English and in 简体中文.
pub const EXAMPLES: [[&str; 2]; 6] = [
    ["a red fox in the snow", "雪地里的红狐狸"],
    ["a house on a meadow, flat style", "草地上的房子，扁平风格"],
    ["a watermelon on the beach, glossy style", "海滩上的西瓜，光泽风格"],
    ["a green cactus in the desert", "沙漠里的绿色仙人掌"],
    ["a rocket in space, 3d style", "太空里的火箭，3D风格"],
    ["a butterfly in the forest, line art", "森林里的蝴蝶，线稿"],
];

impl Language {
    /// Returns one of [`EXAMPLES`] in this language.
    pub fn example(self, texts: [&'static str; 2]) -> &'static str {
        match self {
            Self::English => texts[0],
            Self::Chinese => texts[1],
        }
    }
}
