//! Agents as TOML files: `name` and the fields of an agent's configuration, nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use toml::{Table, Value};

use crate::domain::{AgentConfig, AgentName};
use crate::service::agents::Definition;

/// Reads one file, or every `*.toml` of a folder in order of their names; the error names the file and the field.
pub fn read(path: &Path) -> anyhow::Result<Vec<Definition>> {
    let mut definitions = Vec::new();
    let mut origins: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files(path)? {
        let definition = definition(&file).with_context(|| file.display().to_string())?;
        let name = definition.name.to_string();
        if let Some(other) = origins.insert(name.clone(), file.clone()) {
            bail!("{}: the name '{name}' is also used by {}", file.display(), other.display());
        }
        definitions.push(definition);
    }
    Ok(definitions)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("the agents folder {} cannot be read", path.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn definition(file: &Path) -> anyhow::Result<Definition> {
    let mut table: Table = fs::read_to_string(file)?.parse()?;
    let name = match table.remove("name") {
        Some(Value::String(name)) => AgentName::try_from(name).map_err(|error| anyhow!("name: {error}"))?,
        Some(_) => bail!("name: must be a string"),
        None => bail!("name: is missing"),
    };
    let config: AgentConfig = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner();
        if path == "." { anyhow!("{reason}") } else { anyhow!("{path}: {reason}") }
    })?;
    config.validate().map_err(anyhow::Error::msg)?;
    Ok(Definition { name, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> anyhow::Result<Vec<Definition>> {
        let dir = std::env::temp_dir().join(format!("threadkeep-agents-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&dir)?;
        fs::write(dir.join("agent.toml"), text)?;
        let definitions = read(&dir);
        fs::remove_dir_all(&dir)?;
        definitions
    }

    #[test]
    fn the_sample_agent_is_valid() {
        let definitions = read(Path::new("config/agents")).unwrap();
        assert!(definitions.iter().any(|definition| definition.name.as_str() == "sample"));
    }

    #[test]
    fn a_wrong_field_is_refused_by_file_and_name() {
        for (text, expected) in [
            ("model = 'm'", "name: is missing"),
            ("name = 'a'", "missing field `model`"),
            ("name = 'a'\nmodel = 'm'\ntemprature = 1", "unknown field `temprature`"),
            ("name = 'a'\nmodel = 'm'\ntemperature = 3.0", "temperature: must lie between 0 and 2"),
            ("name = 'a'\nmodel = 'm'\ntemperature = 'hot'", "temperature: invalid type"),
            ("name = 'asst_1'\nmodel = 'm'", "must not begin with 'asst_'"),
            ("name = ", "TOML"),
        ] {
            let error = format!("{:#}", read_text(text).unwrap_err());
            assert!(error.contains("agent.toml") && error.contains(expected), "{text:?} gave {error:?}");
        }
    }
}
