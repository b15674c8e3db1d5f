//! The next version, in the manifest of the workspace.

/// The version that `to` means: the next major, minor or patch, or itself. It is not below `from`; the first release has the
/// version that the manifests have already.
pub(super) fn next(from: &str, to: &str) -> Result<String, String> {
    let old = parse(from).ok_or_else(|| format!("the present version {from} is not of the form X.Y.Z"))?;
    let [major, minor, patch] = old;
    let new = match to {
        "major" => [major + 1, 0, 0],
        "minor" => [major, minor + 1, 0],
        "patch" => [major, minor, patch + 1],
        _ => parse(to).ok_or_else(|| format!("`{to}` is not major, minor, patch or a version X.Y.Z"))?,
    };
    if new < old {
        return Err(format!("{to} is below the present version {from}"));
    }
    Ok(new.map(|number| number.to_string()).join("."))
}

fn parse(version: &str) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = version.split('.').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// The manifest with the next version for the workspace and wherever it asks for one of its own crates.
pub(super) fn manifest(text: &str, from: &str, to: &str) -> Result<String, String> {
    let (old, new) = (format!("version = \"{from}\""), format!("version = \"{to}\""));
    let mut section = "";
    let mut of_workspace = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let own = section == "[workspace.package]" && line.starts_with("version");
        let sibling = section == "[workspace.dependencies]" && line.contains("path = \"crates/");
        if !own && !sibling {
            lines.push(line.to_owned());
        } else if line.contains(&old) {
            of_workspace |= own;
            lines.push(line.replace(&old, &new));
        } else {
            return Err(format!("the manifest of the workspace should say {old} in `{line}`"));
        }
    }
    if !of_workspace {
        return Err(format!("the manifest of the workspace does not say {old}"));
    }
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_never_fall() {
        for (to, expected) in [
            ("major", "1.0.0"),
            ("minor", "0.10.0"),
            ("patch", "0.9.3"),
            ("0.10.1", "0.10.1"),
            ("0.9.2", "0.9.2"),
        ] {
            assert_eq!(next("0.9.2", to).as_deref(), Ok(expected));
        }
        for to in ["0.9.1", "0.8.9", "huge", "1.0", "1.0.0.0", "v1.0.0", "1.0.0-rc.1", ""] {
            assert!(next("0.9.2", to).is_err(), "{to}");
        }
    }

    #[test]
    fn own_versions_change_and_others_stay() {
        let text = "[workspace.package]\nversion = \"0.1.0\"\n\n[workspace.dependencies]\n\
                    own = { version = \"0.1.0\", path = \"crates/own\" }\nother = { version = \"0.1.0\" }\n";
        let expected = text.replacen("0.1.0", "0.2.0", 2);
        assert_eq!(manifest(text, "0.1.0", "0.2.0"), Ok(expected));
        let stale = text.replacen("own = { version = \"0.1.0\"", "own = { version = \"0.0.9\"", 1);
        assert!(manifest(&stale, "0.1.0", "0.2.0").is_err_and(|why| why.contains("own")));
        assert!(manifest("[workspace]\n", "0.1.0", "0.2.0").is_err());
    }
}
