//! The blocks of a Markdown text: paragraphs, and code with its fences.

/// Is a block of a Markdown text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A paragraph, heading or list.
    Text(String),
    /// Code without its fences.
    Code(String),
}

/// Parts a Markdown text into blocks. Blank lines part paragraphs, but not code. Pictures become
/// links, because a text must not make the program fetch anything.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    let mut fence: Option<&str> = None;
    let end = |lines: &mut Vec<&str>, blocks: &mut Vec<Block>, is_code: bool| {
        let joined = lines.join("\n");
        lines.clear();
        if is_code {
            blocks.push(Block::Code(joined));
        } else if !joined.trim().is_empty() {
            blocks.push(Block::Text(joined.replace("![", "[")));
        }
    };
    for line in text.lines() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (Some(open), Some(mark)) if open == mark => {
                end(&mut lines, &mut blocks, true);
                fence = None;
            }
            (None, Some(mark)) => {
                end(&mut lines, &mut blocks, false);
                fence = Some(mark);
            }
            (None, None) if line.trim().is_empty() => end(&mut lines, &mut blocks, false),
            _ => lines.push(line),
        }
    }
    end(&mut lines, &mut blocks, fence.is_some());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_part_paragraphs_but_not_code() {
        let found =
            blocks("One\nline\n\nTwo\n```rust\nlet a;\n\nlet b;\n```\n![x](http://y/z.png)");
        let text = |text: &str| Block::Text(text.to_owned());
        let code = Block::Code("let a;\n\nlet b;".to_owned());
        assert_eq!(found, [text("One\nline"), text("Two"), code, text("[x](http://y/z.png)")]);
    }

    #[test]
    fn code_whose_end_is_not_written_yet_is_code() {
        assert_eq!(blocks("```\nx = 1"), [Block::Code("x = 1".to_owned())]);
        assert!(blocks(" \n\n").is_empty());
    }
}
