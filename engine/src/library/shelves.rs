//! Folders of models that other programs keep: used where they are, nothing copied.
//!
//! A folder that a person adds may be an installation of AUTOMATIC1111's web UI or of ComfyUI, a
//! cache of diffusers, or simply a folder with files in it. Each kind of file is looked for under the
//! names that these programs have for its folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::models::Models;
use crate::error::EngineError;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 6;
/// The most entries of folders that are looked at for one kind of file.
const ENTRIES_MAX: usize = 50_000;
/// What a folder of diffusers holds.
pub(super) const PIPELINE_FILE: &str = "model_index.json";
/// How files of weights end.
const ENDINGS: [&str; 6] = ["safetensors", "ckpt", "pt", "pth", "bin", "gguf"];

/// Names a kind of file that stands beside others of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// Whole models: single files, and folders of diffusers.
    Checkpoints,
    /// LoRAs and their relatives.
    Loras,
    /// New words (textual inversion).
    Embeddings,
    /// Autoencoders.
    Vaes,
    /// ControlNets.
    ControlNets,
    /// Tiny autoencoders for previews.
    TinyVaes,
    /// Nets that enlarge pictures.
    Upscalers,
    /// Nets that find what is pointed at.
    Segmenters,
    /// Lists of words for prompts.
    Wildcards,
}

impl Shelf {
    /// Lists every kind.
    pub const ALL: [Self; 9] = [
        Self::Checkpoints,
        Self::Loras,
        Self::Embeddings,
        Self::Vaes,
        Self::ControlNets,
        Self::TinyVaes,
        Self::Upscalers,
        Self::Segmenters,
        Self::Wildcards,
    ];

    /// Returns the folders of this kind, below that of an installation.
    ///
    /// # Source
    /// The folders of AUTOMATIC1111's web UI (with its extensions for ControlNet, Segment Anything and
    /// dynamic prompts), of ComfyUI (with its Impact Pack) and of InvokeAI's older releases.
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Checkpoints => &[
                "models/Stable-diffusion",
                "models/checkpoints",
                "models/diffusers",
                "Stable-diffusion",
                "checkpoints",
            ],
            Self::Loras => &["models/Lora", "models/LyCORIS", "models/loras", "Lora", "loras"],
            Self::Embeddings => &["embeddings", "models/embeddings"],
            Self::Vaes => &["models/VAE", "models/vae", "VAE", "vae"],
            Self::ControlNets => &[
                "models/ControlNet",
                "models/controlnet",
                "extensions/sd-webui-controlnet/models",
                "ControlNet",
                "controlnet",
            ],
            Self::TinyVaes => {
                &["models/VAE-approx", "models/vae_approx", "VAE-approx", "vae_approx"]
            }
            Self::Upscalers => &[
                "models/ESRGAN",
                "models/RealESRGAN",
                "models/upscale_models",
                "ESRGAN",
                "RealESRGAN",
                "upscale_models",
            ],
            Self::Segmenters => &[
                "models/sams",
                "models/sam",
                "models/segment_anything",
                "extensions/sd-webui-segment-anything/models/sam",
                "sams",
                "sam",
                "segment_anything",
            ],
            Self::Wildcards => &["extensions/sd-dynamic-prompts/wildcards", "wildcards"],
        }
    }

    /// Returns what a file of this kind is called in messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Checkpoints => "model",
            Self::Loras => "LoRA",
            Self::Embeddings => "embedding",
            Self::Vaes => "VAE",
            Self::ControlNets => "ControlNet",
            Self::TinyVaes => "tiny autoencoder",
            Self::Upscalers => "upscaler",
            Self::Segmenters => "segmenter",
            Self::Wildcards => "list of words",
        }
    }

    fn is_file(self, path: &Path) -> bool {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match self {
            Self::Wildcards => ending.eq_ignore_ascii_case("txt"),
            _ => ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)),
        }
    }
}

impl Shelf {
    /// Tells whether the name of a file speaks for this kind where several share a folder.
    fn suits(self, path: &Path) -> bool {
        match self {
            Self::Segmenters => is_segmenter(path),
            Self::Checkpoints => !is_segmenter(path),
            _ => true,
        }
    }
}

/// Tells by its name whether a file is a net that finds what is pointed at, as their makers call them:
/// `mobile_sam.pt`, `sam_vit_b_01ec64.pth`, `sam_hq_vit_l.pth`.
pub(super) fn is_segmenter(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    name.contains("mobilesam") || name.contains("segment_anything") || {
        let is_sam = parts.clone().any(|part| part == "sam");
        is_sam && parts.any(|part| matches!(part, "mobile" | "vit" | "hq"))
    }
}

/// Names a file or folder of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfEntry {
    /// The file's name without its ending, or that of the folder.
    pub name: String,
    /// The file, or the folder of diffusers.
    pub path: PathBuf,
}

impl Models {
    /// Lists the files of a kind in all folders, by name. Folders that cannot be read are passed over.
    pub fn shelf(&self, shelf: Shelf) -> Vec<ShelfEntry> {
        let mut found = Vec::new();
        let mut left = ENTRIES_MAX;
        let roots = self.roots();
        for folder in self.folders_of(shelf) {
            let first = found.len();
            walk(&folder, shelf, DEPTH_MAX, &mut left, &mut found);
            // In a folder of several kinds names tell them apart.
            if roots.contains(&folder) {
                let here = found.split_off(first);
                found.extend(here.into_iter().filter(|entry| shelf.suits(&entry.path)));
            }
        }
        found.sort_by(|a, b| {
            (a.name.to_lowercase(), &a.path).cmp(&(b.name.to_lowercase(), &b.path))
        });
        found.dedup_by(|a, b| a.path == b.path);
        found
    }

    /// Finds a file of a kind by its path, by its name, or by its name without the ending; letters
    /// count the same large and small.
    ///
    /// # Errors
    /// [`EngineError::ModelNotFound`] when there is none.
    pub fn find_on(&self, shelf: Shelf, name: &str) -> Result<PathBuf, EngineError> {
        let path = Path::new(name);
        if path.is_file() || path.is_dir() && path.components().count() > 1 {
            return Ok(path.to_owned());
        }
        let wanted = name.to_lowercase();
        let entry = self.shelf(shelf).into_iter().find(|entry| {
            let file = entry.path.file_name().unwrap_or_default().to_string_lossy();
            entry.name.to_lowercase() == wanted || file.to_lowercase() == wanted
        });
        entry
            .map(|entry| entry.path)
            .ok_or_else(|| EngineError::ModelNotFound { name: name.to_owned() })
    }

    /// Returns the folders that may be installations of other programs.
    fn roots(&self) -> Vec<PathBuf> {
        // Folders of the environment stay, whichever a person adds or takes away.
        let mut roots = self.first_places().to_vec();
        roots.extend(self.added_folders());
        roots
    }

    /// Returns the folders of a kind that are there.
    pub fn folders_of(&self, shelf: Shelf) -> Vec<PathBuf> {
        let roots = self.roots();
        let mut folders = Vec::new();
        for root in &roots {
            let named = shelf.folders().iter().map(|name| root.join(name));
            folders.extend(named.filter(|folder| folder.is_dir()));
        }
        // A folder with files in it and nothing else is one of whole models, and of nets that find what
        // is pointed at: their names tell them apart.
        let is_plain = |root: &Path| {
            Shelf::ALL
                .iter()
                .flat_map(|shelf| shelf.folders())
                .all(|name| !root.join(name).is_dir())
        };
        if matches!(shelf, Shelf::Checkpoints | Shelf::Segmenters) {
            folders.extend(roots.into_iter().filter(|root| is_plain(root)));
        }
        folders
    }
}

/// Collects the files of a kind below a folder; a folder of diffusers is one entry.
fn walk(folder: &Path, shelf: Shelf, depth: usize, left: &mut usize, found: &mut Vec<ShelfEntry>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = entry.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            if path.join(PIPELINE_FILE).is_file() {
                if shelf == Shelf::Checkpoints {
                    found.push(ShelfEntry { name: folder_name(&path), path });
                }
            } else if depth > 0 {
                walk(&path, shelf, depth - 1, left, found);
            }
        } else if shelf.is_file(&path) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.push(ShelfEntry { name, path });
        }
    }
}

/// Returns what a folder of diffusers is called: in a cache of the hub it is named by a commit, and
/// the model's name stands two folders up.
fn folder_name(path: &Path) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hub = path.ancestors().nth(2).map(name).unwrap_or_default();
    match hub.strip_prefix("models--") {
        Some(model) => model.replace("--", "/"),
        None => name(path),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn put(root: &Path, file: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }

    fn names(models: &Models, shelf: Shelf) -> Vec<String> {
        models.shelf(shelf).into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn files_of_another_program_are_found_where_it_keeps_them() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "web/models/Stable-diffusion/Deep/Dream.safetensors",
            "web/models/Stable-diffusion/notes.txt",
            "web/models/Lora/fox.safetensors",
            "web/embeddings/easy.pt",
            "comfy/models/checkpoints/v1.ckpt",
            "comfy/models/loras/Wolf.safetensors",
            "comfy/models/vae/ft-mse.safetensors",
            "comfy/models/vae_approx/taesd_decoder.pth",
            "comfy/models/upscale_models/x4plus.pth",
            "comfy/models/sams/mobile_sam.pt",
            "comfy/models/sams/my own.pth",
            "web/extensions/sd-webui-segment-anything/models/sam/sam_vit_b_01ec64.pth",
            "hub/models--org--thing/snapshots/0ab1/model_index.json",
            "hub/models--org--thing/snapshots/0ab1/unet/diffusion_pytorch_model.safetensors",
        ] {
            put(root.path(), file);
        }
        let folders = ["web", "comfy", "hub"].map(|name| root.path().join(name));
        let models = Models::in_places([]).with_folders(folders);
        assert_eq!(names(&models, Shelf::Checkpoints), ["Dream", "org/thing", "v1"]);
        assert_eq!(names(&models, Shelf::Loras), ["fox", "Wolf"]);
        assert_eq!(names(&models, Shelf::Embeddings), ["easy"]);
        assert_eq!(names(&models, Shelf::Vaes), ["ft-mse"]);
        assert_eq!(names(&models, Shelf::TinyVaes), ["taesd_decoder"]);
        assert_eq!(names(&models, Shelf::Upscalers), ["x4plus"]);
        assert_eq!(names(&models, Shelf::Segmenters), ["mobile_sam", "my own", "sam_vit_b_01ec64"]);
        assert!(names(&models, Shelf::ControlNets).is_empty());
        let found = models.find_on(Shelf::Loras, "wolf").unwrap();
        assert!(found.ends_with("comfy/models/loras/Wolf.safetensors"));
        assert_eq!(models.find_on(Shelf::Loras, "WOLF.safetensors").unwrap(), found);
        assert_eq!(models.find_on(Shelf::Loras, &found.to_string_lossy()).unwrap(), found);
        let error = models.find_on(Shelf::Loras, "bear").unwrap_err();
        assert_eq!(error, EngineError::ModelNotFound { name: "bear".into() });
    }

    #[test]
    fn in_a_plain_folder_names_tell_what_finds_things_from_what_paints() {
        let root = tempfile::tempdir().unwrap();
        for file in
            ["mobile_sam.pt", "sam_hq_vit_l.pth", "samaritan-3d.safetensors", "Sam.ckpt", "a.ckpt"]
        {
            put(root.path(), file);
        }
        let models = Models::in_places([]).with_folders([root.path().to_owned()]);
        assert_eq!(names(&models, Shelf::Segmenters), ["mobile_sam", "sam_hq_vit_l"]);
        assert_eq!(names(&models, Shelf::Checkpoints), ["a", "Sam", "samaritan-3d"]);
    }

    #[test]
    fn a_plain_folder_holds_whole_models_and_folders_that_hold_each_other_end() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "a.safetensors");
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), root.path().join("again")).unwrap();
        let models = Models::in_places([]).with_folders([root.path().to_owned()]);
        let found = names(&models, Shelf::Checkpoints);
        assert!(
            found.iter().all(|name| name == "a") && (1..=8).contains(&found.len()),
            "{found:?}"
        );
    }
}
