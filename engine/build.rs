//! Puts the house model into the program when its files are there at build time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The files of a house model, in the order of the fields of `Embedded`; only the card may be absent.
const FILES: [&str; 4] = ["model.safetensors", "config.json", "lexicon.json", "card.md"];

/// The house models that are one GGUF file each.
const LANGUAGE: [&str; 2] = ["house-writer", "house-composer"];

/// The house models that are weights with a configuration and a card each.
const NETS: [&str; 2] = ["house-upscaler", "house-segmenter"];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let engine = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let models = engine.join("../assets/models");
    let house = models.join("house-picture");
    watch(&models, &house);

    let here = FILES.map(|name| house.join(name)).map(|file| file.is_file().then_some(file));
    let code = match here {
        [Some(weights), Some(config), Some(lexicon), card] => {
            embed(&weights, &config, &lexicon, card)?
        }
        _ => "None".to_owned(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("house_picture.rs"), code)?;
    fs::write(out.join("house_language.rs"), language(&models)?)?;
    for name in NETS {
        fs::write(out.join(format!("{}.rs", name.replace('-', "_"))), net(&models, name)?)?;
    }
    Ok(())
}

/// Writes the weights, the configuration and the card of a net, when they are there.
fn net(models: &Path, name: &str) -> io::Result<String> {
    let folder = models.join(name);
    let files = ["model.safetensors", "config.json", "card.md"].map(|name| folder.join(name));
    for file in &files {
        let watched =
            [file.as_path(), folder.as_path(), models].into_iter().find(|path| path.exists());
        if let Some(watched) = watched {
            println!("cargo:rerun-if-changed={}", watched.display());
        }
    }
    let [weights, config, card] = files;
    if !weights.is_file() {
        return Ok("None".to_owned());
    }
    let text = |file: &Path| match file.is_file() {
        true => file.canonicalize().map(|file| format!("include_str!({file:?})")),
        false => Ok("\"\"".to_owned()),
    };
    let weights = weights.canonicalize()?;
    let (config, card) = (text(&config)?, text(&card)?);
    Ok(format!("Some((include_bytes!({weights:?}) as &[u8], {config}, {card}))"))
}

/// Writes the list of the house models that are one GGUF file each, as far as they are there.
fn language(models: &Path) -> io::Result<String> {
    let mut code = String::from("&[\n");
    for name in LANGUAGE {
        let folder = models.join(name);
        let file = folder.join("model.gguf");
        let watched =
            [file.as_path(), folder.as_path(), models].into_iter().find(|path| path.exists());
        if let Some(watched) = watched {
            println!("cargo:rerun-if-changed={}", watched.display());
        }
        if file.is_file() {
            let file = file.canonicalize()?;
            writeln!(code, "    ({name:?}, include_bytes!({file:?}) as &[u8]),")
                .map_err(io::Error::other)?;
        }
    }
    code.push_str("]\n");
    Ok(code)
}

/// Has cargo run this again when a file changes or appears. A path that is missing would make
/// every build a new one, so a missing file is watched through the nearest folder there is.
fn watch(models: &Path, house: &Path) {
    let files = FILES.map(|name| house.join(name));
    if files.iter().all(|file| file.is_file()) {
        for file in &files {
            println!("cargo:rerun-if-changed={}", file.display());
        }
    } else {
        let folder = if house.is_dir() { house } else { models };
        if folder.is_dir() {
            println!("cargo:rerun-if-changed={}", folder.display());
        }
    }
}

/// Writes the expression for the embedded model.
fn embed(
    weights: &Path,
    config: &Path,
    lexicon: &Path,
    card: Option<PathBuf>,
) -> io::Result<String> {
    let mut code = String::from("Some(Embedded {\n");
    let mut field = |name: &str, how: &str, file: &Path| -> io::Result<()> {
        let file = file.canonicalize()?;
        writeln!(code, "    {name}: {how}!({file:?}),").map_err(io::Error::other)
    };
    field("weights", "include_bytes", weights)?;
    field("config_json", "include_str", config)?;
    field("lexicon_json", "include_str", lexicon)?;
    match card {
        Some(card) => field("card", "include_str", &card)?,
        None => code.push_str("    card: \"\",\n"),
    }
    code.push_str("})\n");
    Ok(code)
}
