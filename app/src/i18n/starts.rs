//! Ways to begin a conversation. The house writer can honour each of them.

/// Lists the beginnings: what the button says in English and in 简体中文, and what is said. The
/// house writer knows English only, so that it is always said in English.
pub const STARTS: [([&str; 2], &str); 4] = [
    (
        ["Tell a story about a goat who wanted to fly", "讲一个想飞的山羊的故事（英文）"],
        "Tell a story about a goat who wanted to fly",
    ),
    (
        ["Tell a story about a little girl and the moon", "讲一个小女孩和月亮的故事（英文）"],
        "Tell a story about a little girl and the moon",
    ),
    (
        ["Tell a story about two friends in the forest", "讲一个森林里两个朋友的故事（英文）"],
        "Tell a story about two friends in the forest",
    ),
    (
        ["Tell a story about an old king and his cat", "讲一个老国王和他的猫的故事（英文）"],
        "Tell a story about an old king and his cat",
    ),
];
