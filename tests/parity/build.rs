//! Turns every symbol of `docs/parity.toml` into a link, for rustdoc to follow.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

const TABLE: &str = "../../docs/parity.toml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={TABLE}");
    let table: toml::Table = fs::read_to_string(TABLE)?.parse()?;
    let mut links = String::new();
    for member in table.get("member").and_then(toml::Value::as_array).into_iter().flatten() {
        let text = |key| member.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        // A row without a symbol is reported by `cargo xtask parity`.
        writeln!(
            links,
            "- `{} {} {}`: [`{}`]",
            text("system"),
            text("class"),
            text("member"),
            text("symbol")
        )?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("links.md"), links)?;
    Ok(())
}
