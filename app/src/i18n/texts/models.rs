//! The texts of what a checkpoint is.

/// Hands the texts of what a checkpoint is on to the next table, behind those that it was given.
macro_rules! models_texts {
    ([$next:ident $($more:ident)*] $($given:tt)*) => {
        $next! {
            [$($more)*]
            $($given)*

            FamilyOf = "Family: {}", "系列：{}";
            FamilyUnknown = "unknown", "未知";
            MadeForInpainting = "inpainting", "局部重绘";
            MadeForDepth = "depth to image", "深度生图";
            MadeForUpscaling = "upscaling by words", "按提示词放大";
            ModelVariant = "Variant", "变体";
            VariantStandard = "Standard", "标准";
            ModelPrediction = "Prediction", "预测类型";
            PredictionNoise = "Noise (epsilon)", "噪声（epsilon）";
            PredictionVelocity = "Velocity (v)", "速度（v）";
            PredictionUntold = "cannot be told", "无法判断";
            AutomaticFound = "Automatic (found: {})", "自动（识别为：{}）";
            ChosenByHand = "manual", "手动";
            ToldByShapes = "Told by the shapes of its tensors", "根据张量形状判断";
            ToldByMetadata = "Told by what the file says about itself", "根据文件自带的说明判断";
            ToldByMark = "Told by a tensor that marks it", "根据标记张量判断";
            ToldByNumbers = "Told by the numbers of one norm", "根据一个归一化层的数值判断";
            ToldByName = "Told by the file's name", "根据文件名判断";
            ToldByNothing = "As is usual, nothing in the file tells", "文件没有说明，按惯例判断";
        }
    };
}
