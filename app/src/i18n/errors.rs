//! What went wrong, in the user's language. English comes from the engine.

use atelier_engine::EngineError;

use super::{Language, size_of};

/// Returns an error as one sentence in `language`.
pub fn error_sentence(language: Language, error: &EngineError) -> String {
    if language == Language::English {
        return error.to_string();
    }
    match error {
        EngineError::EmptyPrompt => "提示词是空的".to_owned(),
        EngineError::InvalidSetting { setting, reason } => {
            format!("设置“{}”无效：{reason}", setting_name(setting))
        }
        EngineError::QueueFull { limit } => format!("队列已满：有 {limit} 个任务在等待"),
        EngineError::Stopped => "引擎已停止".to_owned(),
        EngineError::Cancelled => "任务已取消".to_owned(),
        EngineError::Panicked { message } => format!("程序缺陷使任务中止：{message}"),
        EngineError::NotANumber { stage } => format!("计算出现了无效数值：{stage}"),
        EngineError::ModelNotFound { name } => format!("没有名为“{name}”的模型"),
        EngineError::ModelChanged { name } => format!("模型“{name}”与配方所用的不同"),
        EngineError::Damaged { reason, path } => {
            format!("文件有问题（{reason}）：{}", path.display())
        }
        EngineError::OtherPicture { reason, path } => {
            format!("无法打开这种图片（{reason}）：{}", path.display())
        }
        EngineError::OtherFamily { what, made_for, model, path } => {
            let what = if what == "LoRA" { "LoRA" } else { "文件" };
            format!("这个 {what} 适用于 {made_for}，而模型是 {model}：{}", path.display())
        }
        EngineError::Io { action, reason, path } => {
            format!("操作失败（{action}：{reason}）：{}", path.display())
        }
        EngineError::DiskFull { path } => format!("磁盘已满：{}", path.display()),
        EngineError::Device { device, reason } => format!("设备 {device} 无法使用：{reason}"),
        EngineError::Index { reason } => format!("图库索引出错：{reason}"),
        EngineError::Template { reason } => format!("模型的对话模板出错：{reason}"),
        EngineError::TooLarge { name, needed_bytes, free_bytes } => {
            let (needed, free) = (size_of(*needed_bytes), size_of(*free_bytes));
            format!("模型“{name}”需要 {needed} 内存，只有 {free} 空闲")
        }
        EngineError::Undecoded { reason, path } => {
            format!("图片无法解码（{reason}），潜变量已保存：{}", path.display())
        }
        EngineError::Model { reason } => format!("模型运行失败：{reason}"),
        other => other.to_string(),
    }
}

/// Returns what can be done about an error, as one sentence in `language`.
pub fn error_hint(language: Language, error: &EngineError) -> &'static str {
    if language == Language::English {
        return error.hint();
    }
    match error {
        EngineError::EmptyPrompt => "写下画面内容，例如“雪地里的红狐狸”",
        EngineError::InvalidSetting { .. } => "修改这项设置后重新生成",
        EngineError::QueueFull { .. } => "等一个任务结束，或取消一个",
        EngineError::Stopped => "重新启动 Atelier；已完成的都在图库里",
        EngineError::Cancelled => "随时可以重新生成",
        EngineError::Panicked { .. } => "重新生成；若再次中止，请附上配方报告问题",
        EngineError::NotANumber { .. } => "降低引导强度，或换一个采样器",
        EngineError::ModelNotFound { .. } => "从列表中选择模型，或给出模型文件夹的路径",
        EngineError::ModelChanged { .. } => "用现有的模型重新生成；画面可能不同",
        EngineError::Damaged { .. } => "重新下载或复制这个文件",
        EngineError::OtherPicture { .. } => "先另存为较小的 PNG、JPEG 或 WebP 图片",
        EngineError::OtherFamily { .. } => "选择适用于这种模型的文件",
        EngineError::Io { .. } => "请确认该位置存在，并且有写入权限",
        EngineError::DiskFull { .. } => "腾出一些空间再试；已完成的都没有丢失",
        EngineError::Device { .. } => "在设置中选择其他设备",
        EngineError::Index { .. } => "重新启动 Atelier；索引损坏时会从图片重建",
        EngineError::Template { .. } => "让模型接着写一段文字，不要用对话，或换一个模型",
        EngineError::TooLarge { .. } => "关闭其他程序，或选择更小或量化位数更低的模型",
        EngineError::Undecoded { .. } => "关闭其他程序后用同一种子重新生成，或选择小型 VAE",
        EngineError::Model { .. } => "换一个模型，或附上配方报告问题",
        other => other.hint(),
    }
}

fn setting_name(setting: &str) -> &str {
    match setting {
        "width" => "宽度",
        "height" => "高度",
        "size" => "尺寸",
        "steps" => "步数",
        "guidance" => "引导强度",
        "count" | "batch" => "张数",
        "prompt" => "提示词",
        "seed" => "种子",
        "variant" => "变体",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Makes an error of every kind.
    fn every_kind() -> Vec<EngineError> {
        let text = || "x".to_owned();
        let path = || PathBuf::from("x.png");
        vec![
            EngineError::EmptyPrompt,
            EngineError::invalid("width", "must be larger"),
            EngineError::QueueFull { limit: 9 },
            EngineError::Stopped,
            EngineError::Cancelled,
            EngineError::Panicked { message: text() },
            EngineError::NotANumber { stage: text() },
            EngineError::TooLarge { name: text(), needed_bytes: 9, free_bytes: 3 },
            EngineError::ModelNotFound { name: text() },
            EngineError::ModelChanged { name: text() },
            EngineError::damaged("x.png", "is cut short"),
            EngineError::OtherPicture { reason: text(), path: path() },
            EngineError::Undecoded { reason: text(), path: path() },
            EngineError::OtherFamily {
                what: text(),
                made_for: text(),
                model: text(),
                path: path(),
            },
            EngineError::Io { action: text(), reason: text(), path: path() },
            EngineError::DiskFull { path: path() },
            EngineError::Device { device: text(), reason: text() },
            EngineError::Index { reason: text() },
            EngineError::Template { reason: text() },
            EngineError::Model { reason: text() },
        ]
    }

    #[test]
    fn every_kind_of_error_has_a_sentence_and_a_hint_in_both_languages() {
        let source = include_str!("../../../engine/src/error.rs");
        let kinds = every_kind();
        assert_eq!(kinds.len(), source.matches("#[error(").count(), "a kind is missing above");
        let is_chinese = |text: &str| text.chars().any(|c| ('一'..='龥').contains(&c));
        for error in kinds {
            for text in [
                error_sentence(Language::Chinese, &error),
                error_hint(Language::Chinese, &error).to_owned(),
            ] {
                assert!(is_chinese(&text), "{error:?}: {text}");
                assert!(!text.ends_with('。'), "{text}");
            }
            assert!(!is_chinese(&error_sentence(Language::English, &error)));
            assert!(!error_hint(Language::English, &error).is_empty());
        }
    }
}
