//! The table of every text of the window. Rooms with many texts have files of their own below this
//! one, each a macro that hands its texts on, so that they end in one enum all the same.

#[macro_use]
mod editor;
#[macro_use]
mod library;
#[macro_use]
mod models;

macro_rules! texts {
    ([] $($key:ident = $english:literal, $chinese:literal;)*) => {
        /// Names a text of the window.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Text {
            $(#[doc = concat!("“", $english, "”.")] $key,)*
        }

        impl Text {
            /// Lists every text.
            pub const ALL: &'static [Self] = &[$(Self::$key,)*];

            /// Returns the text in English and in 简体中文.
            pub(super) const fn both(self) -> [&'static str; 2] {
                match self { $(Self::$key => [$english, $chinese],)* }
            }
        }
    };
}

library_texts! {
    [editor_texts models_texts texts]

    // Rooms.
    RoomPictures = "Pictures", "图片";
    RoomWords = "Words", "文字";
    RoomSound = "Sound", "声音";
    RoomLibrary = "Library", "图库";

    // Prompt.
    Prompt = "Prompt", "提示词";
    PromptHint = "Describe the picture…", "描述你想要的画面…";
    Negative = "Negative prompt", "反向提示词";
    NegativeHint = "What it should not show…", "不希望出现的内容…";
    Style = "Style", "风格";
    StyleVolume = "3D", "立体";
    StyleFlat = "Flat", "扁平";
    StyleGlossy = "Glossy", "光泽";
    StyleLine = "Line art", "线稿";
    UnknownWords = "No effect, the model never saw: {}", "模型没见过，不起作用：{}";
    Size = "Size", "尺寸";
    SizeName = "Size {}, {} × {} pixels", "尺寸 {}，{} × {} 像素";
    Count = "Pictures", "张数";
    FewerPictures = "Fewer pictures", "减少张数";
    MorePictures = "More pictures", "增加张数";
    Seed = "Seed", "种子";
    LockSeed = "Keep this seed", "固定种子";
    UnlockSeed = "New seed each time", "每次换新种子";
    RollSeed = "Roll a new seed", "随机换一个种子";
    Advanced = "Advanced", "高级";
    Steps = "Steps", "步数";
    Guidance = "Guidance", "引导强度";
    AsNumber = "{} as a number", "{}（数值）";
    Sampler = "Sampler", "采样器";
    Device = "Device", "设备";
    DeviceIs = "Device: {}", "设备：{}";
    DeviceAuto = "Automatic", "自动";
    Generate = "Generate", "生成";
    GenerateMore = "Add to queue", "加入队列";
    Model = "Model", "模型";
    HouseModel = "House model", "自带模型";
    LicenceUnknown = "licence not in the file", "文件中没有许可证";
    ModelFits = "Takes {} of memory", "需要内存 {}";
    ModelTooLarge = "Takes {} of memory, more than is free", "需要内存 {}，超过可用内存";
    FoldersHint = "Add a folder of models, or an installation of AUTOMATIC1111 or ComfyUI. Nothing is copied", "添加模型文件夹，或 AUTOMATIC1111、ComfyUI 的安装目录。不会复制任何文件";
    AddFolder = "Add a folder of models…", "添加模型文件夹…";
    RemoveFolder = "Forget the folder {}", "移除文件夹 {}";
    SearchingModels = "Looking for models…", "正在查找模型…";
    TokensOf = "{} of {} tokens", "{} / {} 个词元";
    Loras = "LoRAs", "LoRA";
    AddLora = "Add a LoRA", "添加 LoRA";
    RemoveLora = "Take away {}", "移除 {}";
    ControlNet = "ControlNet", "ControlNet";
    NoControl = "None", "无";
    ChoosePicture = "Choose a picture…", "选择图片…";
    ControlNeedsPicture = "Without a picture it has no effect", "没有图片就不起作用";
    ControlStrength = "Strength", "强度";
    HintNone = "As is", "原图";
    HintCanny = "Canny", "边缘";
    HintScribble = "Scribble", "涂鸦";
    HintTile = "Tile", "细节";
    HintInvert = "Invert", "反相";
    Schedule = "Schedule", "调度";
    OwnVae = "The model's own", "模型自带";
    ClipSkip = "CLIP skip", "CLIP 跳层";
    OwnSkip = "Model's", "模型";
    PrecisionName = "Precision", "精度";
    PrecisionFast = "Fast", "快速";
    PrecisionExact = "Exact", "精确";
    PictureFiles = "Pictures", "图片";
    EstimateMemory = "About {} of memory", "约需内存 {}";
    IssueAnd = "Prompts are not composed, this is read as a word: {}", "不支持组合提示词，按普通词读取：{}";
    IssueSeveralChoices = "One choice is taken, not several: {}", "只取一个选项：{}";
    IssueNetwork = "This network has no effect: {}", "这个网络不起作用：{}";
    IssueUnknownLora = "There is no LoRA of this name: {}", "没有这个 LoRA：{}";
    IssueUnknownWildcard = "There is no list of words of this name: {}", "没有这个词表：{}";
    IssueClipped = "Too long, not read from here on: {}", "过长，从这里起没有读到：{}";
    IssueTooDeep = "Brackets lie too deep within each other: {}", "括号嵌套过深：{}";
    NoticeLora = "{} parts of the LoRA {} fit nothing in this model", "LoRA 有 {} 个部分与此模型不匹配：{}";
    Estimate = "About {}, {} of memory", "约 {}，内存 {}";
    NeedsMemory = "{} of memory", "内存 {}";
    NoRoom = "Needs {} of memory; {} are free", "需要 {} 内存，空闲 {}";

    // Canvas.
    Canvas = "Canvas", "画布";
    EmptyTitle = "What shall we paint?", "今天画点什么？";
    EmptyText = "Write a prompt on the left, or begin with one of these", "在左侧写下提示词，或从这些例子开始";
    ZoomIn = "Zoom in", "放大";
    ZoomOut = "Zoom out", "缩小";
    Fit = "Fit to window", "适应窗口";
    OneToOne = "Actual size", "实际大小";
    Compare = "Compare with the previous picture", "与上一张对比";
    CompareSlider = "Compare position", "对比位置";
    Before = "Before", "之前";
    After = "After", "之后";
    SaveAs = "Save as…", "另存为…";
    CopyPicture = "Copy picture", "复制图片";
    OpenFolder = "Open folder", "打开文件夹";
    Delete = "Delete", "删除";
    Reuse = "Use these settings", "使用这些设置";
    SeedValue = "Seed {}", "种子 {}";
    StepsValue = "{} steps", "{} 步";
    PictureNamed = "{}, seed {}", "{}，种子 {}";
    PictureOf = "Picture: {}", "图片：{}";
    LivePreview = "Live preview", "实时预览";

    // Film strip.
    FilmStrip = "Results", "结果";
    NoResults = "Your pictures and pieces of music gather here", "生成的图片和乐曲会出现在这里";
    OnePicture = "1 picture", "1 张图片";
    Pictures = "{} pictures", "{} 张图片";
    Loading = "Loading…", "正在加载…";

    // Top bar and queue.
    Idle = "Ready", "就绪";
    Starting = "Starting…", "正在启动…";
    StageLoading = "Loading the model", "正在加载模型";
    StageEncoding = "Reading the prompt", "正在理解提示词";
    StageSampling = "Painting", "正在绘制";
    StageDecoding = "Developing", "正在显影";
    StageReading = "Reading", "正在阅读";
    StageWriting = "Writing", "正在写作";
    StageComposing = "Composing", "正在作曲";
    StageRendering = "Rendering sound", "正在合成声音";
    StageEnlarging = "Enlarging", "正在放大";
    StageRefining = "Refining", "正在细化";
    StageCuttingOut = "Cutting out", "正在抠图";
    StageSaving = "Saving", "正在保存";
    Cancelling = "Stopping…", "正在停止…";
    StepOf = "step {} of {}", "第 {} / {} 步";
    TimeLeft = "{} left", "还剩 {}";
    Progress = "Progress", "进度";
    Cancel = "Cancel", "取消";
    Queue = "Queue", "队列";
    QueueCount = "{} waiting", "{} 个等待中";
    QueueEmpty = "Nothing is waiting", "没有等待的任务";
    MoveUp = "Move up: {}", "上移：{}";
    MoveDown = "Move down: {}", "下移：{}";
    CancelJob = "Cancel: {}", "取消：{}";
    Seconds = "{} s", "{} 秒";
    MinutesSeconds = "{} min {} s", "{} 分 {} 秒";

    BytesOf = "{} of {} MB", "{} / {} MB";
    TokensWritten = "{} tokens", "{} 个词元";
    TokensPerSecond = "{} tokens/s", "每秒 {} 个词元";

    // Sound room.
    SoundPrompt = "What it sounds like", "音乐描述";
    SoundHint = "Describe the music…", "描述你想要的音乐…";
    SoundTitle = "What shall it sound like?", "今天听点什么？";
    SoundText = "Describe it on the left, or begin with one of these", "在左侧描述音乐，或从这些例子开始";
    SoundDrop = "Or drop a sound or a MIDI file here", "也可以把声音或 MIDI 文件拖到这里";
    Compose = "Compose", "作曲";
    Auto = "Auto", "自动";
    Length = "Length", "长度";
    MusicKey = "Key", "调性";
    KeyMajor = "{} major", "{} 大调";
    KeyMinor = "{} minor", "{} 小调";
    MusicMetre = "Metre", "拍子";
    Tempo = "Tempo", "速度";
    TempoAuto = "Tempo: automatic", "速度：自动";
    TempoValue = "{} bpm", "每分钟 {} 拍";
    Instruments = "Instruments", "乐器";
    InstrumentsChosen = "{} of {}", "{} / {}";
    Density = "Density", "密度";
    Sparse = "Sparse", "稀疏";
    Medium = "Medium", "适中";
    Dense = "Dense", "密集";
    GivenContinue = "Goes on from a given piece", "从给定的乐曲继续";
    GivenVary = "Varies a given piece", "给定乐曲的变奏";
    DropGiven = "Start from nothing instead", "改为从头开始";
    ContinueThis = "Continue this", "续写这首";
    VaryThis = "Vary this", "变奏这首";
    PlayPause = "Play or pause", "播放或暂停";
    Play = "Play", "播放";
    Pause = "Pause", "暂停";
    StopPlaying = "Stop", "停止";
    LoopPlaying = "Play over and over", "循环播放";
    Gain = "Volume", "音量";
    Piece = "Piece: {}", "乐曲：{}";
    PieceWritten = "The piece as it is written", "正在写作的乐曲";
    PieceNamed = "Piece: {}, seed {}", "乐曲：{}，种子 {}";
    PieceUntitled = "Untitled piece", "无标题乐曲";
    PieceReady = "The new piece is in the film strip", "新乐曲已放入胶片栏";
    DeletedPiece = "Piece moved to the trash", "乐曲已移到回收站";
    ClosePiece = "Close", "关闭文件";
    SightNotes = "Notes", "音符";
    SightWave = "Waveform", "波形";
    SightSpectrum = "Spectrogram", "频谱";
    ShowAll = "Show all", "显示全部";
    StripHint = "Click goes there, dragging selects, the wheel zooms; arrow keys go and zoom, with Shift they select", "单击跳转，拖动选择，滚轮缩放；方向键移动和缩放，按住 Shift 可选择";
    PlaceOf = "{} / {}", "{} / {}";
    SelectionOf = "Selected {} to {}", "已选 {} 到 {}";
    Sketching = "Drawing the waveform…", "正在绘制波形…";
    SpectrumComing = "Computing the spectrogram…", "正在计算频谱…";
    WaitsForTurn = "Waits for its turn", "正在排队";
    OpeningFile = "Opening {}", "正在打开 {}";
    LufsValue = "{} LUFS", "{} LUFS";
    TruePeakValue = "Peak {} dBTP", "峰值 {} dBTP";
    OpenSound = "Open a sound or a MIDI file…", "打开声音或 MIDI 文件…";
    SoundFiles = "Sounds and MIDI", "声音与 MIDI";
    ExportAs = "Export", "导出";
    ExportWav = "Export as WAV…", "导出为 WAV…";
    ExportFlac = "Export as FLAC…", "导出为 FLAC…";
    ExportMidi = "Export as MIDI…", "导出为 MIDI…";
    NoNotes = "This sound has no notes, only its sound is known", "这段声音没有音符，只有声音本身";
    FocusSound = "Describe the music", "编辑音乐描述";
    ForPicture = "For this picture", "为这张图片";
    DropPicture = "Let the picture go", "不再依据图片";
    TraitHue = "Colour", "颜色";
    TraitWarmth = "Warmth", "冷暖";
    TraitBrightness = "Brightness", "明暗";
    TraitContrast = "Contrast", "对比";
    TraitSaturation = "Saturation", "饱和度";
    TraitWords = "Its words", "描述";
    TraitOf = "{}: {}", "{}：{}";
    LinkChanged = "Changed", "已更改";
    MakeTune = "Make a tune for this picture", "为这张图片配乐";
    SilentNoDevice = "Silent: there is no sound device. Connect one, or export the sound", "无声：没有找到声音设备。请连接设备，或导出声音";
    SilentNotBuilt = "Silent: this program was built without sound output", "无声：此程序未包含声音输出";
    SilentFormat = "Silent: the sound device wants {}, which is not made here", "无声：声音设备需要 {}，此处无法提供";
    SilentRefused = "Silent: the sound device cannot be used ({})", "无声：声音设备无法使用（{}）";

    // Words beside the picture prompt.
    SurpriseMe = "Surprise me", "给我惊喜";
    ExpandPrompt = "Expand prompt", "扩写提示词";
    UndoHelp = "Undo: bring the earlier prompt back", "撤销：恢复之前的提示词";
    WriterMissing = "No language model was found", "没有找到语言模型";
    WriterBusy = "The house writer is thinking", "内置作者正在构思";

    // Words room.
    NewConversation = "New conversation", "新对话";
    Conversations = "Conversations", "对话列表";
    SearchConversations = "Search conversations", "搜索对话";
    NoConversations = "Your conversations gather here", "对话会出现在这里";
    NothingFound = "Nothing was found", "没有找到";
    RenameConversation = "Rename: {}", "重命名：{}";
    DeleteConversation = "Delete: {}", "删除：{}";
    ConversationTitle = "Title", "标题";
    Untitled = "Untitled", "无标题";
    ConversationDeleted = "Conversation moved to the trash", "对话已移到回收站";
    ConversationDamaged = "A conversation could not be read and was set aside: {}", "有一个对话无法读取，已放到一边：{}";
    UndoDeleteConversation = "Undo delete of a conversation", "撤销删除对话";
    FocusMessage = "Write a message", "编写消息";
    Message = "Message", "消息";
    MessageHint = "Write a message… Enter sends, Shift+Enter begins a new line", "写点什么…按 Enter 发送，Shift+Enter 换行";
    Send = "Send", "发送";
    StopWriting = "Stop writing", "停止写作";
    You = "You", "你";
    Writer = "Writer", "作者";
    CopyMessage = "Copy message", "复制消息";
    CopyCode = "Copy code", "复制代码";
    TextCopied = "Text copied", "文字已复制";
    EditMessage = "Edit message", "编辑消息";
    EditedMessage = "Edited message", "编辑后的消息";
    SaveAsVersion = "Save as a new version", "保存为新版本";
    SendAsVersion = "Send as a new version", "作为新版本发送";
    PaintedFrom = "Painted: {}", "画的是：{}";
    OpenInPictures = "Open in Pictures: {}", "在图片室中打开：{}";
    LeaveEdit = "Leave as it was", "保持原样";
    Regenerate = "Regenerate", "重新生成回答";
    GoOnWriting = "Continue writing", "继续写";
    VersionOf = "{} / {}", "{} / {}";
    EarlierVersion = "Earlier version", "上一个版本";
    LaterVersion = "Later version", "下一个版本";
    Illustrate = "Illustrate this: {}", "为此配图：{}";
    Illustrating = "Painting this paragraph…", "正在为这一段配图…";
    IllustrationOf = "Illustration: {}", "配图：{}";
    NothingToPaint = "There is no word here that the picture model knows", "这里没有图片模型认识的词";
    SaveConversation = "Save conversation as…", "对话另存为…";
    WritingSettings = "Writing settings", "写作设置";
    SystemPrompt = "System prompt", "系统提示";
    SystemHint = "What the model is told about its part…", "告诉模型它的角色…";
    Temperature = "Temperature", "温度";
    TopK = "Top-k (0 is off)", "Top-k（0 为关闭）";
    TopP = "Top-p (1 is off)", "Top-p（1 为关闭）";
    MinP = "Min-p (0 is off)", "Min-p（0 为关闭）";
    RepetitionPenalty = "Repetition penalty (1 is off)", "重复惩罚（1 为关闭）";
    MaxTokens = "Most tokens of an answer", "回答的最多词元数";
    SeedEachTime = "New each time", "每次更换";
    ContextUse = "{} of {} tokens", "{} / {} 个词元";
    WordsTitle = "What shall we write?", "今天写点什么？";
    HouseWriterNote = "The house writer is a small model that learned from children's stories. It writes simple English stories; it knows no facts and answers no questions", "内置作者是一个只学过儿童故事的小模型，只会写简单的英文故事，不了解事实，也不会回答问题";

    // Settings.
    Settings = "Settings", "设置";
    Theme = "Theme", "主题";
    ThemeSystem = "System", "跟随系统";
    ThemeLight = "Light", "浅色";
    ThemeDark = "Dark", "深色";
    LanguageName = "Language", "语言";
    Scale = "Scale", "缩放";
    DataFolder = "Data folder", "数据文件夹";
    DataFolderText = "Pictures and recipes are kept here", "图片与配方都保存在这里";
    MoveFolder = "Move…", "移动…";
    Licence = "Licence", "许可";
    Shortcuts = "All commands", "全部命令";
    Quit = "Quit", "退出";

    // Trash.
    Trash = "Trash", "回收站";
    TrashNothing = "The trash is empty", "回收站是空的";
    TrashOne = "1 thing, {}", "1 项，{}";
    TrashMany = "{} things, {}", "{} 项，{}";
    KindPicture = "Picture", "图片";
    KindSound = "Sound", "声音";
    KindConversation = "Conversation", "对话";
    RestoreItem = "Restore: {}", "恢复：{}";
    DeleteItem = "Delete for good: {}", "彻底删除：{}";
    EmptyTrash = "Empty trash…", "清空回收站…";
    AskDelete = "Delete “{}” for good ({})? It cannot come back", "彻底删除“{}”（{}）？之后无法恢复";
    AskEmpty = "Delete everything in the trash for good ({})? It cannot come back", "彻底删除回收站里的所有内容（{}）？之后无法恢复";
    DeleteForGood = "Delete for good", "彻底删除";
    KeepIt = "Keep", "保留";
    Close = "Close", "关闭";
    AgeNow = "just now", "刚刚";
    AgeMinutes = "{} min ago", "{} 分钟前";
    AgeHours = "{} h ago", "{} 小时前";
    AgeDays = "{} days ago", "{} 天前";

    // Command palette.
    PaletteHint = "Type a command…", "输入命令…";
    PaletteNothing = "No such command", "没有这个命令";
    FocusPrompt = "Write the prompt", "编辑提示词";
    NewerPicture = "Newer picture", "较新的一张";
    OlderPicture = "Older picture", "较旧的一张";
    UndoDelete = "Undo delete", "撤销删除";
    SwitchTheme = "Switch between light and dark", "切换浅色与深色";
    SwitchLanguage = "切换到中文", "Switch to English";
    OpenSettings = "Open settings", "打开设置";

    // Messages.
    Deleted = "Picture moved to the trash", "图片已移到回收站";
    Undo = "Undo", "撤销";
    Dismiss = "Dismiss", "关闭";
    Saved = "Saved: {}", "已保存：{}";
    Copied = "Picture copied", "图片已复制";
    Moved = "The data folder is now {}", "数据文件夹已移到 {}";
    Unfinished = "1 request from last time is unfinished", "上次有 1 个请求没有完成";
    UnfinishedMany = "{} requests from last time are unfinished", "上次有 {} 个请求没有完成";
    Continue = "Continue", "继续";
    Discard = "Discard", "丢弃";
    RecipeFound = "Recipe found in {}", "在 {} 中找到配方";
    UseRecipe = "Use recipe", "使用配方";
    NoRecipe = "There is no recipe in {}", "{} 里没有配方";
    NoRecipeHint = "Recipes are in pictures made by Atelier or by AUTOMATIC1111", "只有 Atelier 或 AUTOMATIC1111 生成的图片带有配方";
    DropHere = "Drop a picture to read its recipe, or a sound to open it", "松开鼠标以读取图片的配方，或打开声音";
    RecipeModelPath = "It names a model on this computer, which is not opened: {}", "配方指向本机的一个模型，不会打开：{}";
    RecipeOtherModel = "It was made with another model: {}", "它是用另一个模型生成的：{}";
    RecipeFiles = "It uses files on this computer, which are not opened unless they are in your folders: {}", "配方使用本机的文件，只打开你的文件夹里的：{}";
    RecipeNoise = "It names a noise file on this computer, which is not opened: {}", "配方指向本机的一个噪声文件，不会打开：{}";
    RecipeNoiseLeft = "The recipe's noise file is not used; the picture will differ", "没有使用配方的噪声文件，画面会有所不同";
    ForeignRecipe = "Its model is not here; the picture will differ", "配方的模型不在本机，画面会有所不同";
    NoticeClipped = "The prompt was too long: {} words were not read", "提示词过长：有 {} 个词没有读到";
    NoticeModel = "The recipe was made with another version of the model", "配方来自另一个版本的模型";
    NoticeMadeRoom = "{} left memory to make room for {}", "已卸下 {}，为 {} 腾出内存";
    NoticeSavedMemory = "Memory was short, so the parts of the model were loaded one after the other", "内存不足，模型的各部分依次载入";
    NoticeTiles = "The picture was decoded in tiles, to save memory", "为节省内存，图片分块解码";
    NoticeTilesAfter = "Decoding at once failed, so the picture was decoded in tiles: {}", "整体解码失败，改为分块解码：{}";
    ModelMissing = "No model was found", "没有找到模型";
    BusyMove = "Let the running jobs end first", "请等当前任务结束";
}
